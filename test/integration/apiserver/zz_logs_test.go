// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"bytes"
	"testing"
)

// TestNothingRacedOrPanicked verifies that no program has logged a data race or a panic during the tests in the files
// before this one.
func TestNothingRacedOrPanicked(t *testing.T) {
	for name, text := range env.Logs(t) {
		for _, sign := range []string{"WARNING: DATA RACE", "panic: ", "Observed a panic", "fatal error: ",
			"concurrent map", "http: superfluous"} {
			if at := bytes.Index(text, []byte(sign)); at >= 0 {
				t.Errorf("%s: %.1500s", name, text[at:])
			}
		}
	}
	select {
	case err := <-env.Cluster.Exits():
		t.Errorf("a program has exited: %v", err)
	default:
	}
}

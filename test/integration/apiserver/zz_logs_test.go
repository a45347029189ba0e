// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestNothingRacedOrPanicked verifies that no program has logged a data race or a panic during the tests in the files
// before this one.
func TestNothingRacedOrPanicked(t *testing.T) {
	logs, err := filepath.Glob(filepath.Join(env.Cluster.Dir(), "logs", "kubevision-*.log"))
	if err != nil || len(logs) < 2 {
		t.Fatalf("the logs are %v (%v)", logs, err)
	}
	for _, path := range logs {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, sign := range []string{"WARNING: DATA RACE", "panic: ", "Observed a panic", "fatal error: ",
			"concurrent map", "http: superfluous"} {
			if at := bytes.Index(text, []byte(sign)); at >= 0 {
				t.Errorf("%s: %.1500s", filepath.Base(path), text[at:])
			}
		}
	}
	select {
	case err := <-env.Cluster.Exits():
		t.Errorf("a program has exited: %v", err)
	default:
	}
}

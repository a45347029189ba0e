// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package portforward

import (
	"slices"
	"strings"
	"testing"
)

func TestPorts(t *testing.T) {
	for text, want := range map[string][]uint16{
		"80": {80}, "80,443": {80, 443}, "65535": {65535},
		"": nil, "0": nil, "65536": nil, "x": nil, "1,,2": nil, "-1": nil,
		strings.Repeat("1,", maxPorts) + "1": nil,
	} {
		if got, err := parsePorts(text); (err == nil) != (want != nil) || err == nil && !slices.Equal(got, want) {
			t.Errorf("%q: %v (%v)", text, got, err)
		}
	}
}

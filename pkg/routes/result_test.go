// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import "testing"

func TestAcceptsGzip(t *testing.T) {
	for value, want := range map[string]bool{
		"": false, "gzip": true, "br, GZIP": true, "gzip;q=0": false, "gzip; q=0.5": true, "identity": false, "*": true,
		"*;q=0": false, "*, gzip;q=0": false, "gzip;q=x": false, "deflate, br": false,
	} {
		if got := acceptsGzip([]string{value}); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
}

func TestMatchesTag(t *testing.T) {
	for value, want := range map[string]bool{
		`W/"a"`: true, `"a"`: true, `"b", W/"a"`: true, `"b"`: false, "*": false, "": false, "a": false,
	} {
		if got := matchesTag([]string{value}, `W/"a"`); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
}

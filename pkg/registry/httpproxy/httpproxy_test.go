// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package httpproxy

import (
	"strings"
	"testing"
)

// TestPaths verifies that checkPath rejects every path that could lead outside the proxied Pod or Service.
func TestPaths(t *testing.T) {
	for path, want := range map[string]bool{
		"": true, "/": true, "/metrics": true, "/a.b/c-d_e~f": true, "/a/../b": false, "..": false, "/./a": false,
		"//a": false, "/a%2e%2e/b": false, `\a`: false, "/a\nb": false, "/ü": false, "/a#b": false,
		"/" + strings.Repeat("x", maxPath): false,
	} {
		if err := checkPath(path); (err == nil) != want {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// TestHeader verifies that the response headers for a proxied web page prevent the page from acting as the dashboard.
// The page comes from a Pod or a Service, and its Content-Type may be invalid.
func TestHeader(t *testing.T) {
	for given, want := range map[string]string{
		"text/html; charset=utf-8":     "text/html; charset=utf-8",
		"":                             "application/octet-stream",
		"text/html\r\nSet-Cookie: a=b": "application/octet-stream",
	} {
		h := headerOf(given)
		if got := h.Get("Content-Type"); got != want {
			t.Errorf("%q becomes %q", given, got)
		}
		if policy := h.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "sandbox; default-src 'none';") ||
			!strings.HasSuffix(policy, "; frame-ancestors 'none'") {
			t.Errorf("the policy is %q", policy)
		}
		for name, value := range map[string]string{
			"Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
		} {
			if got := h.Get(name); got != value {
				t.Errorf("%s is %q", name, got)
			}
		}
	}
}

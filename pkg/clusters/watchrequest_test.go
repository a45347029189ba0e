// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestIsWatch verifies which requests have a response without an end.
func TestIsWatch(t *testing.T) {
	for target, want := range map[string]bool{
		"/api/v1/pods?watch=1":                                       true,
		"/apis/example.com/v1/namespaces/a/proxy?watch=true":         true,
		"/api/v1/pods":                                               false,
		"/api/v1/pods?watch=false":                                   false,
		"/api/v1/namespaces/a/services/web/proxy?watch=1":            false,
		"/api/v1/namespaces/a/pods/web/proxy/x?watch=true":           false,
		"/k8s/clusters/c/api/v1/namespaces/a/pods/w/proxy/x?watch=1": false,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
		if got := isWatch(r); got != want {
			t.Errorf("%s: %v, want %v", target, got, want)
		}
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
)

type timedWriter struct {
	*httptest.ResponseRecorder

	deadline time.Time
}

// SetWriteDeadline stores the deadline. The type http.ResponseController requires this method.
func (w *timedWriter) SetWriteDeadline(deadline time.Time) error {
	w.deadline = deadline
	return nil
}

// TestAllResponsesEnd verifies that WithEnvelope sets a write deadline for every response, even if a filter rejects the
// request. WithEnvelope does not remove the deadline when the handler returns.
func TestAllResponsesEnd(t *testing.T) {
	for name, test := range map[string]struct {
		path   string
		status int
	}{
		"answer":             {dashboardv1alpha1.DirectRootPath + "/clusters", http.StatusOK},
		"refusal":            {dashboardv1alpha1.DirectRootPath + "/clusters", http.StatusUnauthorized},
		"malformed":          {dashboardv1alpha1.DirectRootPath + "//clusters", http.StatusOK},
		"outside of the API": {"/healthz", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			w := &timedWriter{ResponseRecorder: httptest.NewRecorder()}
			handler := WithEnvelope(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
			}), func(*http.Request) bool { return false }, nil)
			handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, test.path, http.NoBody))
			if left := time.Until(w.deadline); left <= 0 || left > requestTime {
				t.Errorf("the response ends in %s", left)
			}
		})
	}
}

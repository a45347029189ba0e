// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"net/http"

	"k8s.io/apiserver/pkg/endpoints/responsewriter"
)

// DelegationLimit is a function that returns true if the host cluster may be called to authenticate and authorize the
// request. In this case, it also returns a function. The caller must call this function at the end of the request, and
// pass true if the request was rejected.
type DelegationLimit func(r *http.Request) (done func(refused bool), ok bool)

// WithDelegationLimit returns a handler that calls next if the limit allows it. The handler responds with 429 if too
// many earlier requests from the same network were rejected.
func WithDelegationLimit(next http.Handler, questions DelegationLimit) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		done, ok := questions(r)
		if !ok {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests from your network were refused: try again later",
				http.StatusTooManyRequests)
			return
		}
		noted := &statusWriter{ResponseWriter: w}
		defer func() {
			done(noted.status == http.StatusUnauthorized || noted.status == http.StatusForbidden)
		}()
		next.ServeHTTP(responsewriter.WrapForHTTP1Or2(noted), r)
	})
}

// statusWriter is a ResponseWriter that records the HTTP status.
type statusWriter struct {
	http.ResponseWriter

	status int
}

// Unwrap returns the inner ResponseWriter, for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader records the first status and sends it.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

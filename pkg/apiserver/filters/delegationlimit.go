// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"net/http"

	"k8s.io/apiserver/pkg/endpoints/responsewriter"
)

// DelegationLimit is a function that decides whether a request may cause calls to the host cluster for authentication
// and authorization. It returns false if too many earlier requests from the same network were rejected. If it returns
// true, the caller must call done() at the end of the request. The argument refused is true if the response has the
// HTTP status 401 or 403.
type DelegationLimit func(r *http.Request) (done func(refused bool), ok bool)

// WithDelegationLimit returns a handler that applies a limit to each request before it calls next. The limit rejects a
// request if too many earlier requests from the same network got the HTTP status 401 or 403. The response to a rejected
// request has the status 429.
func WithDelegationLimit(next http.Handler, limit DelegationLimit) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		done, ok := limit(r)
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

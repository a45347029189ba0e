// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"net/http"

	"k8s.io/apiserver/pkg/endpoints/responsewriter"
)

// DelegationLimit decides whether the host may be called to authenticate and authorize a request. If ok is true, the
// caller must call done with the information whether the request was rejected.
type DelegationLimit func(r *http.Request) (done func(refused bool), ok bool)

// WithDelegationLimit refuses requests of networks from which too many were refused before.
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

// statusWriter notes the HTTP status.
type statusWriter struct {
	http.ResponseWriter

	status int
}

// Unwrap makes flushing and hijacking find the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package environment

import (
	"bytes"
	"io"
	"net/http"
)

// ReadBodies returns a handler that reads the body of a request before next, an httputil.ReverseProxy, serves the
// request. Otherwise, an error response that the API server sends before it has read the body would not end if both
// connections use HTTP/2. The ReverseProxy ends the response when it has received the rest of the body, but a client
// sends nothing after the beginning of an error response.
func ReadBodies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 { // this includes upgrades
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r = r.WithContext(r.Context()) // a copy
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

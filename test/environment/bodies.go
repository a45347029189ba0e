// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package environment

import (
	"bytes"
	"io"
	"net/http"
)

// ReadBodies returns a handler that reads the whole body of a request before it calls next. Without this handler, a
// request over HTTP/2 could hang if next is an httputil.ReverseProxy.
func ReadBodies(next http.Handler) http.Handler {
	// An API server may send an error response before it has read the request body. The client then does not send the
	// rest of the body. But the ReverseProxy ends the response only after it has received the whole request body.
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

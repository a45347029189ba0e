// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package environment

import (
	"bytes"
	"io"
	"net/http"
)

// ReadBodies returns a handler that reads the whole body of a request before it passes the request to next, an
// httputil.ReverseProxy. Otherwise, requests over HTTP/2 could hang. An API server may send an error response before it
// has read the body, and the client then does not send the rest. But the ReverseProxy ends the response only after it
// has received the whole body.
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

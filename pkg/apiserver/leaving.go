// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import "net/http"

// leaving returns a function that returns true while clients should use another replica: the host refuses the
// credential of this one, or it is shutting down.
func leaving(credential *hostCredential, stopping <-chan struct{}) func() bool {
	return func() bool {
		select {
		case <-stopping:
			return true
		default:
			return credential.check(nil) != nil
		}
	}
}

// closeConnections closes the connection of each request while this replica is leaving, so that the next request of
// the client reaches another one. The other requests of a connection with HTTP/2 go on. Otherwise kube-apiserver would
// send requests to a replica until it refuses them, because it keeps its connections.
func closeConnections(next http.Handler, leaving func() bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if leaving() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

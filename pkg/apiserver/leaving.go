// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import "net/http"

// leaving returns a function that returns true while clients should use another replica: the host refuses the
// credential of this replica, or the replica is shutting down.
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

// closeConnections closes the connection after each request while this replica is leaving, so that the next request of
// the client reaches another replica. kube-apiserver reuses connections and would otherwise send requests to this
// replica until it stops listening. Other requests of the same HTTP/2 connection continue.
func closeConnections(next http.Handler, leaving func() bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if leaving() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import "net/http"

// leaving returns a function that returns true if clients should use another replica. This is so if the host cluster
// rejects the credential of this replica, or if the replica is shutting down.
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

// closeConnections returns a handler that calls next. If the function leaving returns true, the handler also closes the
// client's connection after the request. The client then opens a new connection, which reaches another replica.
// Usually, the client is kube-apiserver, which would otherwise send further requests on the open connection until this
// replica stops. Concurrent requests on the same HTTP/2 connection are not interrupted.
func closeConnections(next http.Handler, leaving func() bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if leaving() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

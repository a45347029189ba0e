// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestLeaving verifies that a replica of kubevision-apiserver makes clients open new connections in two cases:
//   - kube-apiserver rejects the credential of the replica.
//   - The replica is shutting down.
//
// Requests that are already running on the old connection are completed.
func TestLeaving(t *testing.T) {
	credential, stopping := &hostCredential{}, make(chan struct{})
	entered, release := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(entered)
			<-release
		}
	})
	server := httptest.NewUnstartedServer(closeConnections(handler, leaving(credential, stopping)))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	get := func(path string) error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, http.NoBody)
		if err != nil {
			return err
		}
		response, err := server.Client().Do(request)
		if err != nil {
			return err
		}
		return response.Body.Close()
	}
	closes := func() bool {
		recorder := httptest.NewRecorder()
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		server.Config.Handler.ServeHTTP(recorder, request)
		return recorder.Header().Get("Connection") == "close"
	}
	if closes() {
		t.Error("a replica that stays closes connections")
	}
	credential.refused.Store(true)
	if !closes() {
		t.Error("a replica without a credential keeps connections")
	}
	credential.refused.Store(false)
	slow := make(chan error, 1)
	go func() { slow <- get("/slow") }()
	<-entered
	close(stopping)
	if !closes() {
		t.Error("a replica that shuts down keeps connections")
	}
	if err := get("/"); err != nil {
		t.Error(err)
	}
	close(release)
	if err := <-slow; err != nil {
		t.Errorf("a request under way is cut off: %v", err)
	}
}

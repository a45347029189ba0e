// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package environment_test

import (
	"context"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/test/environment"
)

// TestWatchProxyEndsEarlyErrors verifies that a request through a WatchProxy does not hang after an early error
// response. The API server of the test responds before the client has sent the body of the request.
func TestWatchProxyEndsEarlyErrors(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "forbidden", http.StatusForbidden)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	config := &rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{CAData: ca}}
	proxy, err := environment.NewWatchProxy(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	client, err := rest.HTTPClientFor(proxy.Through(config))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	body, writer := io.Pipe()
	go func() {
		time.Sleep(200 * time.Millisecond)
		_, _ = io.WriteString(writer, "{}") // fails if the response has begun
		_ = writer.Close()
	}()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, proxy.Through(config).Host+"/api", body)
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = 2
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.ProtoMajor != 2 || response.StatusCode != http.StatusForbidden {
		t.Errorf("the response is %s %s", response.Proto, response.Status)
	}
	if _, err := io.ReadAll(response.Body); err != nil {
		t.Errorf("the response does not end: %v", err)
	}
}

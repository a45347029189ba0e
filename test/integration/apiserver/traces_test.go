// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

type receiver struct {
	collector.UnimplementedTraceServiceServer

	mu       sync.Mutex
	spans    []*tracev1.Span
	services map[string]bool
}

// Export implements the OTLP service.
func (r *receiver) Export(
	_ context.Context, request *collector.ExportTraceServiceRequest,
) (*collector.ExportTraceServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range request.GetResourceSpans() {
		r.services[attribute(resource.GetResource().GetAttributes(), "service.name")] = true
		for _, scope := range resource.GetScopeSpans() {
			r.spans = append(r.spans, scope.GetSpans()...)
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func attribute(attributes []*commonv1.KeyValue, key string) string {
	for _, a := range attributes {
		if a.GetKey() != key {
			continue
		}
		if text, ok := a.GetValue().GetValue().(*commonv1.AnyValue_StringValue); ok {
			return text.StringValue
		}
		return strconv.FormatInt(a.GetValue().GetIntValue(), 10)
	}
	return ""
}

func startReceiver(t *testing.T) (r *receiver, configFile string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	r = &receiver{services: map[string]bool{}}
	collector.RegisterTraceServiceServer(server, r)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	configFile = filepath.Join(t.TempDir(), "tracing.yaml")
	text := "apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\n" +
		"endpoint: " + listener.Addr().String() + "\nsamplingRatePerMillion: 1000000\n"
	if err := os.WriteFile(configFile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return r, configFile
}

// TestTraces verifies that a request has a span with its id and code, that each call to a cluster has a child span, and
// that no span contains a credential or a value of a query.
func TestTraces(t *testing.T) {
	const confidential = "value-of-a-query"
	traces, configFile := startReceiver(t)
	replica := replicaWith(t, "--tracing-config-file="+configFile)
	client, a := at(t, replica.Endpoint()), newActor(t, "readonly")
	list := as(a.AccessToken, wire.Request{Path: wire.DirectPath + onHost + "/resources/pods"})
	becomes(t, client, wire.OK, list)
	list.Path += "?source=live&labelSelector=app%3D" + confidential
	list.Header = http.Header{"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
	ok := client.Call(t, list).Want(t, wire.OK)
	refused := client.Call(t, wire.Request{Path: wire.DirectPath + me}).Want(t, wire.Unauthenticated)
	if err := replica.Stop(); err != nil { // the program sends the last spans before it exits
		t.Fatal(err)
	}

	traces.mu.Lock()
	defer traces.mu.Unlock()
	if !traces.services["kubevision-apiserver"] || len(traces.services) != 1 {
		t.Errorf("the services are %v", traces.services)
	}
	byRequest, calls := map[string]*tracev1.Span{}, map[string][]*tracev1.Span{}
	for _, span := range traces.spans {
		if id := attribute(span.GetAttributes(), "kubevision.request.id"); id != "" {
			byRequest[id] = span
		}
		calls[string(span.GetParentSpanId())] = append(calls[string(span.GetParentSpanId())], span)
		if text := span.String(); strings.Contains(text, confidential) || strings.Contains(text, a.AccessToken) {
			t.Errorf("a span has a confidential value: %s", text)
		}
	}
	for id, want := range map[string][2]string{
		ok.Meta.RequestID:      {"GET /clusters/{cluster}/resources/{resource}", "0"},
		refused.Meta.RequestID: {"GET none", "40100"},
	} {
		span := byRequest[id]
		if span == nil {
			t.Fatalf("request %s has no span among %d", id, len(traces.spans))
		}
		if got := [2]string{span.GetName(), attribute(span.GetAttributes(), "kubevision.code")}; got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	request := byRequest[ok.Meta.RequestID]
	if len(request.GetParentSpanId()) != 0 || len(request.GetLinks()) != 1 {
		t.Errorf("the trace of a client is continued: parent %x, links %v", request.GetParentSpanId(),
			request.GetLinks())
	}
	var onCluster int
	for _, call := range calls[string(request.GetSpanId())] {
		if attribute(call.GetAttributes(), "kubevision.cluster") == host &&
			attribute(call.GetAttributes(), "http.response.status_code") == "200" {
			onCluster++
		}
	}
	if onCluster == 0 {
		t.Errorf("the calls below the request are %v", calls[string(request.GetSpanId())])
	}
}

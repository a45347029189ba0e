// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	traceparent = "00-" + traceID + "-b7ad6b7169203331-01"
)

func trustFunc(trusted bool) func(*http.Request) bool {
	return func(*http.Request) bool { return trusted }
}

func request(t *testing.T) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/users/me", http.NoBody)
	r.Header.Set("Traceparent", traceparent)
	r.Header.Set("Tracestate", "vendor=x")
	r.Header.Set("Baggage", "user=x")
	return r
}

// TestClientsDoNotDecideWhatIsSampled verifies that StartRequest ignores the sampling decision of an untrusted client.
// It must follow the decision of a trusted client, such as kube-apiserver.
func TestClientsDoNotDecideWhatIsSampled(t *testing.T) {
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())))
	for trusted, want := range map[bool]bool{false: false, true: true} {
		r, span := StartRequest(request(t), provider, trustFunc(trusted))
		if span.IsRecording() != want {
			t.Errorf("trusted %t: recording is %t", trusted, span.IsRecording())
		}
		if same := span.SpanContext().TraceID().String() == traceID; same != trusted {
			t.Errorf("trusted %t: the trace id is %s", trusted, span.SpanContext().TraceID())
		}
		for _, name := range []string{"Traceparent", "Tracestate", "Baggage"} {
			if r.Header.Get(name) != "" {
				t.Errorf("the header %s is passed on", name)
			}
		}
	}
}

type recorder struct{ header http.Header }

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	r.header = request.Header
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

// TestTraceContextIsSentWhereItIsWanted verifies that RoundTripper adds the trace context to calls to a cluster only if
// Propagate is true.
func TestTraceContextIsSentWhereItIsWanted(t *testing.T) {
	provider := sdktrace.NewTracerProvider()
	for _, propagate := range []bool{false, true} {
		inbound, span := StartRequest(request(t), provider, trustFunc(false))
		next := &recorder{}
		call := httptest.NewRequestWithContext(inbound.Context(), http.MethodGet, "/api/v1/pods", http.NoBody)
		response, err := (&RoundTripper{Next: next, Cluster: "member", Propagate: propagate}).RoundTrip(call)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if sent := next.header.Get("Traceparent") != ""; sent != propagate {
			t.Errorf("propagate %t: the header is %q", propagate, next.header.Get("Traceparent"))
		}
		if call.Header.Get("Traceparent") != "" {
			t.Error("the caller's request was changed")
		}
		span.End()
	}
}

// TestAttributesAreBounded verifies that span attributes contain at most maxAttribute bytes of a URL path, and no part
// of the query.
func TestAttributesAreBounded(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	inbound, span := StartRequest(request(t), provider, trustFunc(false))
	defer span.End()
	call := httptest.NewRequestWithContext(inbound.Context(), http.MethodGet,
		"/"+strings.Repeat("a", 2*maxAttribute)+"?token=value", http.NoBody)
	client := &RoundTripper{Next: &recorder{}, Cluster: "member"}
	response, err := client.RoundTrip(call)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	for _, ended := range spans.Ended() {
		for _, attribute := range ended.Attributes() {
			if text := attribute.Value.AsString(); len(text) > maxAttribute || strings.Contains(text, "value") {
				t.Errorf("%s is %q", attribute.Key, text)
			}
		}
	}
	if len(spans.Ended()) != 1 {
		t.Errorf("there are %d spans", len(spans.Ended()))
	}
}

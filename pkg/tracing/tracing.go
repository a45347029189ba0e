// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tracing creates OpenTelemetry spans for requests of clients, and for the calls to clusters that these
// requests cause.
package tracing

import (
	"context"
	"errors"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/kubevision-io/kubevision/pkg/redaction"
)

const (
	scope = "github.com/kubevision-io/kubevision"
	// maxAttribute bounds the length of the attribute url.path, in bytes.
	maxAttribute = 512

	// RequestIDKey is the attribute for the ID of a request.
	RequestIDKey = attribute.Key("kubevision.request.id")
	// CodeKey is the attribute for the code in the body of a response.
	CodeKey = attribute.Key("kubevision.code")
	// ClusterKey is the attribute for the name of a KubeVisionCluster.
	ClusterKey = attribute.Key("kubevision.cluster")

	methodKey = attribute.Key("http.request.method")
	routeKey  = attribute.Key("http.route")
	pathKey   = attribute.Key("url.path")
	serverKey = attribute.Key("server.address")
	statusKey = attribute.Key("http.response.status_code")
)

// StartRequest starts the span of a request of a client. The context of the returned request contains the span. The
// headers of the trace context are removed. If isTrusted returns true, the span continues the trace of the client.
// Otherwise, the span begins a new trace with a link to the trace of the client.
func StartRequest(
	r *http.Request, provider trace.TracerProvider, isTrusted func(*http.Request) bool,
) (*http.Request, trace.Span) {
	ctx := r.Context()
	remote := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header)))
	for _, name := range traceHeaders() {
		r.Header.Del(name)
	}
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
	switch {
	case !remote.IsValid():
	case isTrusted(r): // called only if necessary, because the verification of a client certificate is slow
		ctx = trace.ContextWithRemoteSpanContext(ctx, remote)
	default: // An untrusted client must not determine whether the span is sampled.
		options = append(options, trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: remote}))
	}
	ctx, span := provider.Tracer(scope).Start(ctx, "request", options...)
	return r.WithContext(ctx), span
}

// traceHeaders returns the headers that contain a trace context.
func traceHeaders() []string { return []string{"Traceparent", "Tracestate", "Baggage"} }

// Request describes a request whose response was sent.
type Request struct {
	ID, Method, Route, Cluster string
	Code                       int
	// Failed is true if the request has failed because of an error of the server or of a cluster. It is false if the
	// request has succeeded, or if the client caused the error.
	Failed bool
}

// Describe sets the name and the attributes of the span in ctx. No attribute contains arbitrary text that a client has
// sent: r.Route is the path of a route, and r.Cluster is the name of a registered cluster.
func Describe(ctx context.Context, r Request) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetName(r.Method + " " + r.Route)
	span.SetAttributes(RequestIDKey.String(r.ID), CodeKey.Int(r.Code), methodKey.String(r.Method),
		routeKey.String(r.Route))
	if r.Cluster != "" {
		span.SetAttributes(ClusterKey.String(r.Cluster))
	}
	if r.Failed {
		span.SetStatus(codes.Error, "")
	}
}

// RoundTripper creates a span for each request to a cluster. It creates none if the context of the request contains no
// span. The span ends when the response begins.
type RoundTripper struct {
	Next http.RoundTripper
	// Cluster is the name of the KubeVisionCluster. It may be empty.
	Cluster string
	// Propagate is true if calls to the cluster carry a traceparent header.
	Propagate bool
}

// RoundTrip implements http.RoundTripper.
func (t *RoundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	parent := trace.SpanFromContext(r.Context())
	if !parent.SpanContext().IsValid() {
		return t.Next.RoundTrip(r)
	}
	tracer := parent.TracerProvider().Tracer(scope)
	ctx, span := tracer.Start(r.Context(), r.Method, trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	if span.IsRecording() { // the query is omitted, because its values may be confidential
		span.SetAttributes(methodKey.String(r.Method), serverKey.String(r.URL.Host),
			pathKey.String(redaction.CutTo(r.URL.Path, maxAttribute)), ClusterKey.String(t.Cluster))
	}
	r = r.Clone(ctx)
	if t.Propagate {
		propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(r.Header))
	}
	response, err := t.Next.RoundTrip(r)
	switch {
	case errors.Is(err, context.Canceled):
	case err != nil:
		span.SetStatus(codes.Error, "no response") // the error may quote data of a cluster
	default:
		span.SetAttributes(statusKey.Int(response.StatusCode))
	}
	return response, err
}

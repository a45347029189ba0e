// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/trace"
	"k8s.io/klog/v2"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/redaction"
	"github.com/kubevision-io/kubevision/pkg/tracing"
)

const (
	// requestLogLevel is the lowest log verbosity at which requests are logged.
	requestLogLevel = 2
	// maxLoggedName bounds the length of a user name in the log, in bytes. Names from kube-apiserver can have any
	// length.
	maxLoggedName = 256
)

// WithTracing returns a handler that starts a span for each request below the API's prefixes. The span of a trusted
// request continues the trace of the client.
func WithTracing(next http.Handler, provider trace.TracerProvider, trusted func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !UnderAPI(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		r, span := tracing.StartRequest(r, provider, trusted)
		defer span.End()
		next.ServeHTTP(w, r)
	})
}

// observe records a completed request in the metrics, in its span and in the log. It does not record values that the
// client has sent, except the names of existing users and clusters.
func observe(ctx context.Context, method string, state *envelope.State, took time.Duration) {
	route, code := state.Outcome()
	if route == "" {
		route = "none"
	}
	if !knownMethods[method] { // Clients can send any method name, and the memory of a label value is never freed.
		method = "other"
	}
	cluster, label := state.Cluster(), strconv.Itoa(int(code))
	failed := code >= dashboardv1alpha1.CodeInternal
	gone := failed && envelope.IsGone(ctx)
	if gone {
		label = codeCanceled
	}
	count(route, method, cluster, label, took, state.Streamed())
	tracing.Describe(ctx, tracing.Request{
		ID: state.RequestID, Method: method, Route: route, Cluster: cluster, Code: int(code), Failed: failed && !gone,
	})
	logger := klog.FromContext(ctx).V(requestLogLevel)
	if !logger.Enabled() {
		return
	}
	fields := []any{
		"method", method, "route", route, "code", label, "duration", took,
		"user", redaction.CutTo(state.User(), maxLoggedName), "cluster", cluster,
	}
	if span := trace.SpanContextFromContext(ctx); span.IsSampled() {
		fields = append(fields, "traceID", span.TraceID().String())
	}
	logger.Info("Served request", fields...)
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"time"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

// codeCanceled counts the requests whose client hung up before there was a response, other than a refusal.
const codeCanceled = "canceled"

// The HTTP status is always 200, so that the metrics of the library cannot distinguish success from failure.
var (
	requests = metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: "kubevision",
		Subsystem: "apiserver",
		Name:      "requests_total",
		Help: "Requests by route template, method and the code in the envelope, " +
			"which is \"canceled\" if the client disconnected before the response.",
		StabilityLevel: metrics.ALPHA,
	}, []string{"route", "method", "code"})

	durations = metrics.NewHistogramVec(&metrics.HistogramOpts{
		Namespace: "kubevision",
		Subsystem: "apiserver",
		Name:      "request_duration_seconds",
		Help: "Time from the first byte of a request to the last byte of its envelope, by route template " +
			"and method.",
		Buckets:        []float64{0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60},
		StabilityLevel: metrics.ALPHA,
	}, []string{"route", "method"})
)

// RegisterMetrics registers the metrics of the package. It may be called twice.
func RegisterMetrics() {
	legacyregistry.MustRegister(requests, durations)
}

var knownMethods = map[string]bool{"GET": true, "HEAD": true, "POST": true, "PUT": true, "PATCH": true, "DELETE": true}

func observe(route, method, code string, d time.Duration) {
	count(route, method, code)
	route, method = labelled(route, method)
	durations.WithLabelValues(route, method).Observe(d.Seconds())
}

// count counts a request whose duration says nothing.
func count(route, method, code string) {
	route, method = labelled(route, method)
	requests.WithLabelValues(route, method, code).Inc()
}

func labelled(route, method string) (routeLabel, methodLabel string) {
	if route == "" {
		route = "none"
	}
	if !knownMethods[method] { // clients can invent methods, and every label value takes memory for good
		method = "other"
	}
	return route, method
}

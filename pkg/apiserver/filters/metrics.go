// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/component-base/metrics"
)

// codeCanceled is the value of the metric label "code" if the client disconnected before the response.
const codeCanceled = "canceled"

var (
	// requests counts the requests to the dashboard's API. The metric label "code" contains the code of the response
	// body, because the HTTP status is 200 even for errors.
	requests = metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: "kubevision",
		Subsystem: "apiserver",
		Name:      "requests_total",
		Help: "Number of requests by route template, method and the code in the envelope, " +
			"which is \"canceled\" if the client disconnected before the response.",
		StabilityLevel: metrics.ALPHA,
	}, []string{"route", "method", "code"})

	// clusterRequests counts the requests about each registered cluster. The metric has no label for the route, because
	// there would be too many combinations of route, cluster and code.
	clusterRequests = metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: "kubevision", Subsystem: "apiserver", Name: "cluster_requests_total", StabilityLevel: metrics.ALPHA,
		Help: "Number of requests about one registered cluster, by its name and the code in the envelope.",
	}, []string{"cluster", "code"})

	// durations measures the time from the first byte of a request to the last byte of its response. The metric does
	// not contain streams.
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

// Metrics returns the metrics of the package.
func Metrics() []metrics.Registerable {
	return []metrics.Registerable{requests, clusterRequests, durations}
}

// ForgetMetrics removes the time series of a cluster.
func ForgetMetrics(cluster string) {
	clusterRequests.DeletePartialMatch(prometheus.Labels{"cluster": cluster})
}

var knownMethods = map[string]bool{"GET": true, "HEAD": true, "POST": true, "PUT": true, "PATCH": true, "DELETE": true}

// count records a request in the metrics. It does not record the duration of a stream, because the client determines
// this duration.
func count(route, method, cluster, code string, d time.Duration, streamed bool) {
	requests.WithLabelValues(route, method, code).Inc()
	if cluster != "" {
		clusterRequests.WithLabelValues(cluster, code).Inc()
	}
	if !streamed {
		durations.WithLabelValues(route, method).Observe(d.Seconds())
	}
}

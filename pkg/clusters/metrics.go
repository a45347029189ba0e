// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/component-base/metrics"
)

// statusError is the status label of calls without a response.
const statusError = "error"

var (
	calls = metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: "kubevision", Subsystem: "apiserver", Name: "cluster_calls_total", StabilityLevel: metrics.ALPHA,
		Help: "Number of calls to the API server of a cluster as a user, by the class of the HTTP status, which is " +
			"\"error\" if there was no response.",
	}, []string{"cluster", "status"})

	callDurations = metrics.NewHistogramVec(&metrics.HistogramOpts{
		Namespace: "kubevision", Subsystem: "apiserver", Name: "cluster_call_duration_seconds",
		StabilityLevel: metrics.ALPHA,
		Help: "Time from a call to the API server of a cluster as a user to the beginning of the response, " +
			"including the wait for other calls of the user.",
		Buckets: []float64{0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 10, 30},
	}, []string{"cluster"})
)

// Metrics returns the metrics of the package.
func Metrics() []metrics.Registerable { return []metrics.Registerable{calls, callDurations} }

// ForgetMetrics removes the time series of a cluster from the metrics.
func ForgetMetrics(cluster string) {
	calls.DeletePartialMatch(prometheus.Labels{"cluster": cluster})
	callDurations.DeletePartialMatch(prometheus.Labels{"cluster": cluster})
}

// measuredRoundTripper counts the requests to one cluster and measures their duration.
type measuredRoundTripper struct {
	next http.RoundTripper
	// cluster is the name of the KubeVisionCluster.
	cluster string
}

// RoundTrip implements http.RoundTripper.
func (m *measuredRoundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	begun := time.Now()
	response, err := m.next.RoundTrip(r)
	callDurations.WithLabelValues(m.cluster).Observe(time.Since(begun).Seconds())
	calls.WithLabelValues(m.cluster, statusClass(response, err)).Inc()
	return response, err
}

// statusClass returns 1xx to 5xx, or "error" if there is no response or its status is invalid. The number of values
// must be bounded, because a cluster may send any status.
func statusClass(response *http.Response, err error) string {
	if err != nil || response.StatusCode < 100 || response.StatusCode > 599 {
		return statusError
	}
	return strconv.Itoa(response.StatusCode/100) + "xx"
}

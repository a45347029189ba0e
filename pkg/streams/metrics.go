// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import "k8s.io/component-base/metrics"

var (
	openGauge = metrics.NewGaugeVec(&metrics.GaugeOpts{
		Namespace: "kubevision", Subsystem: "streams", Name: "open", StabilityLevel: metrics.ALPHA,
		Help: "Number of open streams, by verb; a response without an end has the verb response.",
	}, []string{"verb"})
	frames = metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: "kubevision", Subsystem: "streams", Name: "frames_total", StabilityLevel: metrics.ALPHA,
		Help: "Number of messages of streams, by verb and direction: in (from clients) or out.",
	}, []string{"verb", "direction"})
	frameBytes = metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: "kubevision", Subsystem: "streams", Name: "frame_bytes_total", StabilityLevel: metrics.ALPHA,
		Help: "Number of bytes of messages of streams, by verb and direction: in (from clients) or out.",
	}, []string{"verb", "direction"})
	ended = metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: "kubevision", Subsystem: "streams", Name: "ended_total", StabilityLevel: metrics.ALPHA,
		Help: "Number of streams that have ended, by verb and reason.",
	}, []string{"verb", "reason"})
	refused = metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: "kubevision", Subsystem: "streams", Name: "refused_total", StabilityLevel: metrics.ALPHA,
		Help: "Number of streams that were refused before they began, by verb and reason: origin, ticket, upgrade, " +
			"limit.",
	}, []string{"verb", "reason"})
)

// verbResponse is the value of the metric label "verb" for HTTP responses that count as streams, such as followed logs.
const verbResponse = "response"

const (
	directionIn  = "in"
	directionOut = "out"
)

// Metrics returns the metrics of the package.
func Metrics() []metrics.Registerable {
	return []metrics.Registerable{openGauge, frames, frameBytes, ended, refused}
}

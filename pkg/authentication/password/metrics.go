// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package password

import "k8s.io/component-base/metrics"

var hashes = metrics.NewHistogram(&metrics.HistogramOpts{
	Namespace: "kubevision", Subsystem: "authentication", Name: "password_hash_duration_seconds",
	StabilityLevel: metrics.ALPHA,
	Help:           "Duration of a password hash, without the time in the queue.",
	Buckets:        []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5},
})

// Metrics returns the metrics of the package.
func Metrics() []metrics.Registerable { return []metrics.Registerable{hashes} }

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

var recorded = metrics.NewCounterVec(&metrics.CounterOpts{
	Namespace: "kubevision", Subsystem: "authentication", Name: "events_total", StabilityLevel: metrics.ALPHA,
	Help: "Number of authentication events, by reason.",
}, []string{"reason"})

// RegisterMetrics registers the metrics of the package.
func RegisterMetrics() { legacyregistry.MustRegister(recorded) }

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import "k8s.io/component-base/metrics"

var recorded = metrics.NewCounterVec(&metrics.CounterOpts{
	Namespace: "kubevision", Subsystem: "authentication", Name: "events_total", StabilityLevel: metrics.ALPHA,
	Help: "Number of authentication events, by reason.",
}, []string{"reason"})

// Metrics returns the metrics of the package.
func Metrics() []metrics.Registerable { return []metrics.Registerable{recorded} }

// InitializeMetrics sets the counters of lockouts, which must be registered, to 0, so that the first lockout is an
// increase.
func InitializeMetrics() {
	for _, reason := range []Reason{
		AccountLocked, AddressBlocked, SecondFactorBlocked, FreshCodeBlocked, PasswordChangeBlocked,
	} {
		recorded.WithLabelValues(string(reason))
	}
}

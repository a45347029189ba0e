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

// InitializeMetrics sets the counters of lockouts to 0, so that rates include the first lockout. The counters must be
// registered before.
func InitializeMetrics() {
	for _, reason := range []Reason{
		AccountLocked, AddressBlocked, SecondFactorBlocked, FreshCodeBlocked, PasswordChangeBlocked,
	} {
		recorded.WithLabelValues(string(reason))
	}
}

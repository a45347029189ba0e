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

// InitializeMetrics creates the time series of lockouts with the value 0, so that rate() includes the first lockout.
// The metrics must be registered before.
func InitializeMetrics() {
	for _, reason := range []Reason{
		AccountLocked, AddressBlocked, SecondFactorBlocked, FreshCodeBlocked, PasswordChangeBlocked,
	} {
		recorded.WithLabelValues(string(reason))
	}
}

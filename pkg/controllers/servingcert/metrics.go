// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package servingcert

import (
	"k8s.io/client-go/util/cert"
	"k8s.io/component-base/metrics"
)

var expiration = metrics.NewGauge(&metrics.GaugeOpts{
	Namespace: "kubevision", Subsystem: "serving_certificate", Name: "expiration_timestamp_seconds",
	StabilityLevel: metrics.ALPHA,
	Help:           "Time at which the serving certificate of kubevision-apiserver expires, in seconds since 1970.",
})

// Metrics returns the metrics of the package.
func Metrics() []metrics.Registerable { return []metrics.Registerable{expiration} }

// setExpiration sets the metric to the expiry of the first certificate in the PEM chain.
func setExpiration(chain []byte) {
	if certs, err := cert.ParseCertsPEM(chain); err == nil {
		expiration.Set(float64(certs[0].NotAfter.Unix()))
	}
}

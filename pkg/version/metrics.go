// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package version

import "k8s.io/component-base/metrics"

var buildInfo = metrics.NewGaugeVec(&metrics.GaugeOpts{
	Namespace: "kubevision", Name: "build_info", StabilityLevel: metrics.BETA,
	Help: "1, with the version, the commit and the Go version of the program as labels.",
}, []string{"version", "commit", "go_version"})

// Metrics returns the metrics of the package.
func Metrics() []metrics.Registerable { return []metrics.Registerable{buildInfo} }

// SetBuildInfo sets the metric kubevision_build_info to 1, with the version of the program as labels. The caller must
// first register the metrics that Metrics returns.
func SetBuildInfo() {
	info := Info()
	buildInfo.WithLabelValues(info.GitVersion, info.GitCommit, info.GoVersion).Set(1)
}

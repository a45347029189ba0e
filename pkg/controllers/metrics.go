// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"errors"
	"fmt"
	"slices"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/controllers/cluster"
	"github.com/kubevision-io/kubevision/pkg/controllers/rolebinding"
	"github.com/kubevision-io/kubevision/pkg/controllers/servingcert"
	"github.com/kubevision-io/kubevision/pkg/version"
)

// Metrics returns the metrics of kubevision-controller-manager. It does not include the metrics of libraries, or the
// metrics of the collectors that the function Collectors returns.
func Metrics() []metrics.Registerable {
	return slices.Concat(version.Metrics(), rolebinding.Metrics(), servingcert.Metrics(),
		audit.Metrics(), password.Metrics())
}

// Collectors returns the collectors of metrics that are computed from cached objects at each scrape.
func Collectors(reader client.Reader) []metrics.StableCollector {
	return []metrics.StableCollector{cluster.NewCollector(reader)}
}

// registerMetrics registers the metrics with the registry of controller-runtime, which serves them, and with the
// registry of Kubernetes, which applies their stability levels.
func registerMetrics(reader client.Reader) error {
	var errs []error
	for _, metric := range Metrics() {
		errs = append(errs, legacyregistry.Register(metric), ctrlmetrics.Registry.Register(metric))
	}
	for _, collector := range Collectors(reader) {
		errs = append(errs, legacyregistry.CustomRegister(collector), ctrlmetrics.Registry.Register(collector))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	version.SetBuildInfo()
	return nil
}

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

// Metrics returns the metrics of kubevision-controller-manager, beside those of the libraries and of Collectors.
func Metrics() []metrics.Registerable {
	return slices.Concat(version.Metrics(), rolebinding.Metrics(), servingcert.Metrics(),
		audit.Metrics(), password.Metrics())
}

// Collectors returns the metrics that are computed from objects in the cache at each scrape. All of them are gauges.
func Collectors(reader client.Reader) []metrics.StableCollector {
	return []metrics.StableCollector{cluster.NewCollector(reader)}
}

// registerMetrics registers the metrics with two registries. The registry of the manager serves them, and the registry
// of Kubernetes applies their stability levels, which the registry of the manager ignores.
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

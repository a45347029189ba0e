// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding

import (
	"errors"
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/controllers/condition"
)

// revocations records the bindings of which a revocation has failed, and reports the failures.
type revocations struct {
	failures prometheus.Counter
	pending  *bindingGauge
}

// newRevocations registers the metrics and returns an empty record.
func newRevocations() (*revocations, error) {
	r := &revocations{
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kubevision_rolebinding_revocation_failures_total",
			Help: "Number of failed attempts to revoke rights that a role binding does not grant any more.",
		}),
	}
	if err := register(r.failures); err != nil {
		return nil, err
	}
	var err error
	r.pending, err = newBindingGauge("kubevision_rolebinding_pending_revocations",
		"Number of role bindings whose rights could not be revoked at the last attempt.")
	return r, err
}

// note counts a failure and emits a warning event for the binding. A nil error clears the earlier failures.
func (r *revocations) note(recorder events.EventRecorder, b *kubevisionv1alpha1.KubeVisionRoleBinding, err error) {
	r.settle(b.Name, err)
	if err != nil {
		recorder.Eventf(b, nil, corev1.EventTypeWarning, kubevisionv1alpha1.ReasonRevocationFailed, "Revoke", "%s",
			condition.Truncate(err.Error()))
	}
}

func (r *revocations) settle(binding string, err error) {
	if err != nil {
		r.failures.Inc()
	}
	r.pending.set(binding, err != nil)
}

// bindingGauge is a set of role bindings whose size is exposed as a metric.
type bindingGauge struct {
	gauge prometheus.Gauge

	mu    sync.Mutex
	names sets.Set[string]
}

func newBindingGauge(name, help string) (*bindingGauge, error) {
	g := &bindingGauge{gauge: prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help}),
		names: sets.New[string]()}
	return g, register(g.gauge)
}

func (g *bindingGauge) set(binding string, member bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if member {
		g.names.Insert(binding)
	} else {
		g.names.Delete(binding)
	}
	g.gauge.Set(float64(g.names.Len()))
}

// register registers a collector. Tests create several reconcilers in one process, which share the collectors that
// are already registered.
func register(c prometheus.Collector) error {
	if err := metrics.Registry.Register(c); err != nil && !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
		return fmt.Errorf("registering a metric: %w", err)
	}
	return nil
}

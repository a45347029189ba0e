// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/events"
	"k8s.io/component-base/metrics"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/controllers/condition"
)

var (
	revocationFailures = metrics.NewCounter(&metrics.CounterOpts{
		Namespace: "kubevision", Subsystem: "rolebinding", Name: "revocation_failures_total",
		StabilityLevel: metrics.ALPHA,
		Help:           "Number of failed attempts to revoke rights that a role binding no longer grants.",
	})
	pendingRevocations = metrics.NewGauge(&metrics.GaugeOpts{
		Namespace: "kubevision", Subsystem: "rolebinding", Name: "pending_revocations", StabilityLevel: metrics.ALPHA,
		Help: "Number of role bindings whose rights could not be revoked at the last attempt.",
	})
	unreachableBindings = metrics.NewGauge(&metrics.GaugeOpts{
		Namespace: "kubevision", Subsystem: "rolebinding", Name: "unreachable", StabilityLevel: metrics.ALPHA,
		Help: "Number of role bindings that select a cluster which cannot be reached.",
	})
)

// Metrics returns the metrics of the package.
func Metrics() []metrics.Registerable {
	return []metrics.Registerable{revocationFailures, pendingRevocations, unreachableBindings}
}

// revocations counts failed revocations, and the bindings whose last revocation has failed.
type revocations struct {
	pending *bindingGauge
}

// note records in the metrics of the controller whether the revocation of rights of a binding has failed. err is the
// error of the revocation, or nil. If there is an error, note also emits a warning event for the binding.
func (r *revocations) note(recorder events.EventRecorder, b *kubevisionv1alpha1.KubeVisionRoleBinding, err error) {
	r.settle(b.Name, err)
	if err != nil {
		recorder.Eventf(b, nil, corev1.EventTypeWarning, kubevisionv1alpha1.ReasonRevocationFailed, "Revoke", "%s",
			condition.Truncate(err.Error()))
	}
}

func (r *revocations) settle(binding string, err error) {
	if err != nil {
		revocationFailures.Inc()
	}
	r.pending.set(binding, err != nil)
}

// bindingGauge is a set of role bindings. Its size is the value of a metric.
type bindingGauge struct {
	gauge *metrics.Gauge

	mu    sync.Mutex
	names sets.Set[string]
}

func newBindingGauge(gauge *metrics.Gauge) *bindingGauge {
	return &bindingGauge{gauge: gauge, names: sets.New[string]()}
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

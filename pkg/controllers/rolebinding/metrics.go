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

// revocations remembers the bindings from which something could not be taken away, and raises the alarm.
type revocations struct {
	failures prometheus.Counter
	pending  prometheus.Gauge

	mu    sync.Mutex
	names sets.Set[string]
}

// newRevocations registers the metrics. Tests make several in one process, which share those that are registered.
func newRevocations() (*revocations, error) {
	r := &revocations{
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kubevision_rolebinding_revocation_failures_total",
			Help: "Number of times that rights which a role binding does not grant any more could not be taken away.",
		}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kubevision_rolebinding_pending_revocations",
			Help: "Number of role bindings whose rights could not be taken away at the last attempt.",
		}),
		names: sets.New[string](),
	}
	for _, c := range []prometheus.Collector{r.failures, r.pending} {
		if err := metrics.Registry.Register(c); err != nil && !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
			return nil, fmt.Errorf("registering a metric: %w", err)
		}
	}
	return r, nil
}

// note counts a failure and warns of it with an event on the binding, or forgets the earlier ones if there is none.
func (r *revocations) note(recorder events.EventRecorder, b *kubevisionv1alpha1.KubeVisionRoleBinding, err error) {
	r.settle(b.Name, err)
	if err != nil {
		recorder.Eventf(b, nil, corev1.EventTypeWarning, kubevisionv1alpha1.ReasonRevocationFailed, "Revoke", "%s",
			condition.Truncate(err.Error()))
	}
}

func (r *revocations) settle(binding string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.failures.Inc()
		r.names.Insert(binding)
	} else {
		r.names.Delete(binding)
	}
	r.pending.Set(float64(r.names.Len()))
}

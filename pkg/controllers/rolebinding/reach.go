// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// isProbed returns true if the cluster controller has tested the connection to the cluster with the current spec of the
// KubeVisionCluster.
func isProbed(c *kubevisionv1alpha1.KubeVisionCluster) bool {
	ready := meta.FindStatusCondition(c.Status.Conditions, kubevisionv1alpha1.ReadyCondition)
	return ready != nil && ready.Status != metav1.ConditionUnknown && ready.ObservedGeneration == c.Generation
}

// probedChanged returns a predicate for updates of KubeVisionClusters. The predicate accepts an update if isProbed
// returns different values for the old and the new object. isProbed returns true if the cluster controller has tested
// the connection with the current spec.
func probedChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*kubevisionv1alpha1.KubeVisionCluster)
		after, ok2 := e.ObjectNew.(*kubevisionv1alpha1.KubeVisionCluster)
		return !ok || !ok2 || isProbed(before) != isProbed(after)
	}}
}

// unreachable returns the names of the selected clusters that are not connected. It omits clusters whose connection the
// cluster controller has not tested yet.
func unreachable(p *plan) sets.Set[string] {
	out := sets.New[string]()
	for i := range p.clusters {
		// A binding can become Ready without its unreachable clusters, but not before each connection was tested.
		if _, err := p.view.Get(&p.clusters[i]); err != nil && isProbed(&p.clusters[i]) {
			out.Insert(p.clusters[i].Name)
		}
	}
	return out
}

func reachVerdict(selected int, unreachable sets.Set[string]) verdict {
	if len(unreachable) == 0 {
		return verdict{
			metav1.ConditionTrue, kubevisionv1alpha1.ReasonConnected, "all selected clusters are reachable",
		}
	}
	return verdict{
		metav1.ConditionFalse, kubevisionv1alpha1.ReasonNotConnected,
		fmt.Sprintf("%d of %d clusters are unreachable; the binding is applied there when they are reachable: %s",
			len(unreachable), selected, strings.Join(sets.List(unreachable), ", ")),
	}
}

// recordReach updates the metric of bindings that select an unreachable cluster. It emits an event if newCondition
// changes the status of the condition ClustersReachable.
func (r *Reconciler) recordReach(b *kubevisionv1alpha1.KubeVisionRoleBinding, newCondition verdict) {
	r.unreachable.set(b.Name, newCondition.status != metav1.ConditionTrue)
	was := meta.FindStatusCondition(b.Status.Conditions, kubevisionv1alpha1.RoleBindingClustersCondition)
	switch {
	case newCondition.status != metav1.ConditionTrue && (was == nil || was.Status != newCondition.status):
		r.Recorder.Eventf(b, nil, corev1.EventTypeWarning, newCondition.reason, "Reconcile", "%s", newCondition.message)
	case newCondition.status == metav1.ConditionTrue && was != nil && was.Status != newCondition.status:
		r.Recorder.Eventf(b, nil, corev1.EventTypeNormal, newCondition.reason, "Reconcile", "%s", newCondition.message)
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// maxNamed bounds the number of Pods that an error message names.
const maxNamed = 5

// plan returns the indexes of the Pods to evict, and sets the results of all other Pods. It returns an error if an
// eviction needs an option that the request does not set. A Pod with an emptyDir volume needs the option
// deleteEmptyDirData, and a Pod without a controller needs the option force. A finished Pod needs no option.
func (d *draining) plan(node string) ([]int, error) {
	waiting := []int{}
	var withData, unmanaged []int
	for i := range d.found {
		pod, result := &d.found[i], &d.results[i]
		if reason := skipReason(pod); reason != "" {
			result.Status, result.Reason = dashboardv1alpha1.DrainSkipped, reason
			continue
		}
		if pod.DeletionTimestamp != nil {
			result.Status, result.Reason = dashboardv1alpha1.DrainEvicted, "it is already terminating"
			continue
		}
		waiting = append(waiting, i)
		if isFinished(pod) {
			continue
		}
		if !d.options.DeleteEmptyDirData && hasEmptyDir(pod) {
			withData = append(withData, i)
			d.refuse(i, "it has data in an emptyDir volume, which would be lost")
		}
		if !d.options.Force && metav1.GetControllerOf(pod) == nil {
			unmanaged = append(unmanaged, i)
			d.refuse(i, "no controller would recreate it")
		}
	}
	return waiting, d.refusedError(node, withData, unmanaged)
}

// skipReason returns the reason for which a Pod remains on a drained node, or an empty string.
func skipReason(pod *corev1.Pod) string {
	if _, ok := pod.Annotations[corev1.MirrorPodAnnotationKey]; ok {
		return "it is a static pod of the node's kubelet"
	}
	owner := metav1.GetControllerOf(pod)
	if owner != nil && owner.Kind == "DaemonSet" && strings.HasPrefix(owner.APIVersion, appsv1.GroupName+"/") {
		return fmt.Sprintf("it belongs to DaemonSet %q, which would recreate it on this node", owner.Name)
	}
	return ""
}

// isFinished returns true if all containers of the Pod have terminated. The eviction of such a Pod loses nothing.
func isFinished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func hasEmptyDir(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.EmptyDir != nil })
}

func (d *draining) refuse(i int, reason string) {
	result := &d.results[i]
	result.Status = dashboardv1alpha1.DrainBlocked
	if result.Reason != "" {
		reason = result.Reason + "; " + reason
	}
	result.Reason = reason
}

func (d *draining) refusedError(node string, withData, unmanaged []int) error {
	var why []string
	if len(withData) > 0 {
		why = append(why, d.podNames(withData)+" would lose data in emptyDir volumes (deleteEmptyDirData allows it)")
	}
	if len(unmanaged) > 0 {
		why = append(why, d.podNames(unmanaged)+" would not be recreated by a controller (force allows it)")
	}
	if len(why) == 0 {
		return nil
	}
	said := "nothing was evicted"
	if !d.options.DryRun {
		said += ", but no new pods are scheduled on the node"
	}
	e := envelope.New(dashboardv1alpha1.CodeConflict, "%s: %s", said, strings.Join(why, "; "))
	for i := range d.results {
		if d.results[i].Status == "" {
			d.results[i].Status, d.results[i].Reason = dashboardv1alpha1.DrainBlocked, "other pods block the drain"
		}
	}
	e.Data = d.data(node, false)
	return e
}

// podNames returns the names of Pods for an error message. pods contains indexes in d.found.
func (d *draining) podNames(pods []int) string {
	out := make([]string, 0, maxNamed)
	for _, i := range pods[:min(len(pods), maxNamed)] {
		out = append(out, d.results[i].Namespace+"/"+d.results[i].Name)
	}
	if more := len(pods) - maxNamed; more > 0 {
		out = append(out, fmt.Sprintf("%d more", more))
	}
	return strings.Join(out, ", ")
}

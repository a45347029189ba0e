// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package overview

import (
	corev1 "k8s.io/api/core/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
)

// partialPod has the fields of a Pod that the overview needs. If a cached Pod is decoded into a partialPod, the decoder
// skips the other fields, which are the largest part of a Pod.
type partialPod struct {
	Spec struct {
		Containers     []partialContainer           `json:"containers"`
		InitContainers []partialContainer           `json:"initContainers"`
		Overhead       corev1.ResourceList          `json:"overhead"`
		Resources      *corev1.ResourceRequirements `json:"resources"`
	} `json:"spec"`
	Status struct {
		Phase corev1.PodPhase `json:"phase"`
	} `json:"status"`
}

// partialContainer has the fields of a container from which the requests and limits of a Pod are computed.
type partialContainer struct {
	Resources     corev1.ResourceRequirements    `json:"resources"`
	RestartPolicy *corev1.ContainerRestartPolicy `json:"restartPolicy"`
}

// podKind returns the kind for Pods. Its Read function adds the Pods to t.
func podKind(t *tally) scopedlist.Kind {
	count := func(p *partialPod, out *dashboardv1alpha1.Overview) { countPod(p.pod(), out) }
	return partialKind(t, "pods", count, countPod)
}

// pod returns a Pod that has only the fields of p.
func (p *partialPod) pod() *corev1.Pod {
	return &corev1.Pod{
		Spec: corev1.PodSpec{
			Containers: containers(p.Spec.Containers), InitContainers: containers(p.Spec.InitContainers),
			Overhead: p.Spec.Overhead, Resources: p.Spec.Resources,
		},
		Status: corev1.PodStatus{Phase: p.Status.Phase},
	}
}

func containers(all []partialContainer) []corev1.Container {
	out := make([]corev1.Container, len(all))
	for i := range all {
		out[i] = corev1.Container{Resources: all[i].Resources, RestartPolicy: all[i].RestartPolicy}
	}
	return out
}

// countPod counts pod by its phase. It adds the requests and limits of the Pod if the phase is not Succeeded or Failed.
func countPod(pod *corev1.Pod, out *dashboardv1alpha1.Overview) {
	phases := &out.PodStatusDistribution
	out.Pods++
	switch pod.Status.Phase {
	case corev1.PodRunning:
		phases.Running++
		out.RunningPods++
	case corev1.PodPending:
		phases.Pending++
	case corev1.PodSucceeded:
		phases.Succeeded++
		return
	case corev1.PodFailed:
		phases.Failed++
		return
	case corev1.PodUnknown:
		phases.Unknown++
	default:
		phases.Unknown++
	}
	addRequests(pod, &out.Resources)
}

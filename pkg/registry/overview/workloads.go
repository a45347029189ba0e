// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package overview

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/registry/union"
)

// workloads are the kinds that run Pods.
func workloads(out *dashboardv1alpha1.Overview) []union.Kind {
	return []union.Kind{
		typed("pods", func(l corev1.PodList) { countPods(l.Items, out) }),
		typed("deployments.v1.apps", func(l appsv1.DeploymentList) {
			out.Deployments += int64(len(l.Items))
			for i := range l.Items {
				count(&out.ReadyDeployments, l.Items[i].Status.ReadyReplicas >= wantedReplicas(l.Items[i].Spec.Replicas))
			}
		}),
		typed("statefulsets.v1.apps", func(l appsv1.StatefulSetList) {
			out.StatefulSets += int64(len(l.Items))
			for i := range l.Items {
				count(&out.ReadyStatefulSets, l.Items[i].Status.ReadyReplicas >= wantedReplicas(l.Items[i].Spec.Replicas))
			}
		}),
		typed("daemonsets.v1.apps", func(l appsv1.DaemonSetList) {
			out.DaemonSets += int64(len(l.Items))
			for i := range l.Items {
				count(&out.ReadyDaemonSets, l.Items[i].Status.NumberReady >= l.Items[i].Status.DesiredNumberScheduled)
			}
		}),
		typed("jobs.v1.batch", func(l batchv1.JobList) {
			out.Jobs += int64(len(l.Items))
			for i := range l.Items {
				count(&out.SucceededJobs, jobIs(&l.Items[i], batchv1.JobComplete))
				count(&out.FailedJobs, jobIs(&l.Items[i], batchv1.JobFailed))
			}
		}),
		typed("cronjobs.v1.batch", func(l batchv1.CronJobList) {
			out.CronJobs += int64(len(l.Items))
			for i := range l.Items {
				count(&out.ActiveCronJobs, l.Items[i].Spec.Suspend == nil || !*l.Items[i].Spec.Suspend)
			}
		}),
	}
}

func count(n *int64, is bool) {
	if is {
		*n++
	}
}

func wantedReplicas(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

func jobIs(j *batchv1.Job, condition batchv1.JobConditionType) bool {
	for _, c := range j.Status.Conditions {
		if c.Type == condition && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

func countPods(pods []corev1.Pod, out *dashboardv1alpha1.Overview) {
	phases := &out.PodStatusDistribution
	out.Pods += int64(len(pods))
	for i := range pods {
		pod := &pods[i]
		switch pod.Status.Phase {
		case corev1.PodRunning:
			phases.Running++
		case corev1.PodPending:
			phases.Pending++
		case corev1.PodSucceeded:
			phases.Succeeded++
			continue
		case corev1.PodFailed:
			phases.Failed++
			continue
		case corev1.PodUnknown:
			phases.Unknown++
		default:
			phases.Unknown++
		}
		addWanted(&pod.Spec, &out.Resources)
	}
	out.RunningPods = phases.Running
}

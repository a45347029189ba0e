// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package overview

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
)

func (t *tally) workloadKinds() []scopedlist.Kind {
	return []scopedlist.Kind{
		podKind(t),
		typedKind(t, "deployments.v1.apps", func(d *appsv1.Deployment, out *dashboardv1alpha1.Overview) {
			out.Deployments++
			addIf(&out.ReadyDeployments, d.Status.ReadyReplicas >= wantedReplicas(d.Spec.Replicas))
		}),
		typedKind(t, "statefulsets.v1.apps", func(s *appsv1.StatefulSet, out *dashboardv1alpha1.Overview) {
			out.StatefulSets++
			addIf(&out.ReadyStatefulSets, s.Status.ReadyReplicas >= wantedReplicas(s.Spec.Replicas))
		}),
		typedKind(t, "daemonsets.v1.apps", func(d *appsv1.DaemonSet, out *dashboardv1alpha1.Overview) {
			out.DaemonSets++
			addIf(&out.ReadyDaemonSets, d.Status.NumberReady >= d.Status.DesiredNumberScheduled)
		}),
		typedKind(t, "jobs.v1.batch", func(j *batchv1.Job, out *dashboardv1alpha1.Overview) {
			out.Jobs++
			addIf(&out.SucceededJobs, hasJobCondition(j, batchv1.JobComplete))
			addIf(&out.FailedJobs, hasJobCondition(j, batchv1.JobFailed))
		}),
		typedKind(t, "cronjobs.v1.batch", func(c *batchv1.CronJob, out *dashboardv1alpha1.Overview) {
			out.CronJobs++
			addIf(&out.ActiveCronJobs, c.Spec.Suspend == nil || !*c.Spec.Suspend)
		}),
	}
}

func addIf(n *int64, is bool) {
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

func hasJobCondition(j *batchv1.Job, condition batchv1.JobConditionType) bool {
	for _, c := range j.Status.Conditions {
		if c.Type == condition && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

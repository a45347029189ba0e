// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"cmp"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// HostRegistration returns the registration of the host that is in force: the oldest one with inCluster that is not being deleted. It is nil
// where there is none. The host is one registration; another one, with labels of somebody else's choice, grants nothing.
func HostRegistration(all []kubevisionv1alpha1.KubeVisionCluster) *kubevisionv1alpha1.KubeVisionCluster {
	var oldest *kubevisionv1alpha1.KubeVisionCluster
	for i := range all {
		c := &all[i]
		if c.Spec.InCluster && c.DeletionTimestamp.IsZero() && (oldest == nil || Older(c, oldest)) {
			oldest = c
		}
	}
	return oldest
}

// Older says whether a registration was made before another one. Nobody chooses a UID, which decides between two of the same second.
func Older(a, b *kubevisionv1alpha1.KubeVisionCluster) bool {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.UID, b.UID)) < 0
}

// IsOverLimit returns true if the controllers do not read the cluster any more, because it sends too much. They cannot
// take rights away there, so that nobody may use the cluster.
func IsOverLimit(c *kubevisionv1alpha1.KubeVisionCluster) bool {
	reachable := meta.FindStatusCondition(c.Status.Conditions, kubevisionv1alpha1.ClusterReachableCondition)
	return reachable != nil && reachable.Reason == kubevisionv1alpha1.ReasonLimitExceeded
}

// IsRefused says whether the cluster is not used because it claims to be one that another registration holds. The condition IdentityConflict alone
// does not say that: the registration that holds the identity has it, too.
func IsRefused(c *kubevisionv1alpha1.KubeVisionCluster) bool {
	ready := meta.FindStatusCondition(c.Status.Conditions, kubevisionv1alpha1.ReadyCondition)
	return ready != nil && ready.Status != metav1.ConditionTrue && ready.Reason == kubevisionv1alpha1.ReasonIdentityConflict
}

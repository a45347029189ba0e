// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"cmp"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// HostRegistration returns the KubeVisionCluster that represents the host cluster, or nil. This is the oldest
// KubeVisionCluster with spec.inCluster that is not being deleted. Newer KubeVisionClusters with spec.inCluster are
// ignored and grant nothing, so that a user cannot get rights in the host cluster by creating such a KubeVisionCluster
// with labels that a role binding selects.
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

// Older returns true if a was created before b. If both were created in the same second, it compares their UIDs, which
// users cannot choose.
func Older(a, b *kubevisionv1alpha1.KubeVisionCluster) bool {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.UID, b.UID)) < 0
}

// IsOverLimit returns true if the status says that the objects of the cluster exceed the memory limit of the
// controllers. The controllers cannot revoke rights on such a cluster, so no user may use it.
func IsOverLimit(c *kubevisionv1alpha1.KubeVisionCluster) bool {
	reachable := meta.FindStatusCondition(c.Status.Conditions, kubevisionv1alpha1.ClusterReachableCondition)
	return reachable != nil && reachable.Reason == kubevisionv1alpha1.ReasonLimitExceeded
}

// IsRefused returns true if the status says that c may not be used, because another KubeVisionCluster represents the
// same Kubernetes cluster.
func IsRefused(c *kubevisionv1alpha1.KubeVisionCluster) bool {
	// The condition IdentityConflict may also be True for the KubeVisionCluster that may be used.
	ready := meta.FindStatusCondition(c.Status.Conditions, kubevisionv1alpha1.ReadyCondition)
	return ready != nil && ready.Status != metav1.ConditionTrue &&
		ready.Reason == kubevisionv1alpha1.ReasonIdentityConflict
}

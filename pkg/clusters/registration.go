// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"cmp"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// HostRegistration returns the registration of the host that is in force: the oldest one with inCluster that is not
// being deleted. It returns nil if there is none. A second registration of the host, with labels that somebody else has
// chosen, grants nothing.
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

// Older returns true if registration a was created before b. Their UIDs, which nobody can choose, decide between two
// registrations of the same second.
func Older(a, b *kubevisionv1alpha1.KubeVisionCluster) bool {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.UID, b.UID)) < 0
}

// IsOverLimit returns true if the cluster sends too much for the controllers, which do not read it any more. They
// cannot revoke rights there, so nobody may use the cluster.
func IsOverLimit(c *kubevisionv1alpha1.KubeVisionCluster) bool {
	reachable := meta.FindStatusCondition(c.Status.Conditions, kubevisionv1alpha1.ClusterReachableCondition)
	return reachable != nil && reachable.Reason == kubevisionv1alpha1.ReasonLimitExceeded
}

// IsRefused returns true if the cluster is not used because it claims the identity of another registration. The
// condition IdentityConflict alone is no sign of that: the registration that holds the identity has it, too.
func IsRefused(c *kubevisionv1alpha1.KubeVisionCluster) bool {
	ready := meta.FindStatusCondition(c.Status.Conditions, kubevisionv1alpha1.ReadyCondition)
	return ready != nil && ready.Status != metav1.ConditionTrue && ready.Reason == kubevisionv1alpha1.ReasonIdentityConflict
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// BelongsToOther returns true if a label or an owner reference of the Secret names a user other than the given user. In
// this case, spec.passwordSecretRef of the given user must not refer to the Secret.
func BelongsToOther(secret *corev1.Secret, user string) bool {
	owner, labelled := secret.Labels[names.UserLabel]
	return (labelled && owner != user) ||
		slices.ContainsFunc(secret.OwnerReferences, func(r metav1.OwnerReference) bool {
			return r.Kind == kubevisionv1alpha1.KindUser && r.Name != user
		})
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package hostobjects

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// IsOwnedBy returns true if an object was made for its owner, and not for a deleted one with the same name.
func IsOwnedBy(object, owner client.Object) bool {
	return slices.ContainsFunc(object.GetOwnerReferences(), func(r metav1.OwnerReference) bool {
		return r.UID == owner.GetUID()
	})
}

// UIDPrecondition limits a delete to the object that was read.
func UIDPrecondition(object client.Object) client.Preconditions {
	uid := object.GetUID()
	return client.Preconditions{UID: &uid}
}

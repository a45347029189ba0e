// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package hostobjects

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// IsOwnedBy returns true if object has an owner reference with the UID of owner. It returns false if the owner
// reference is for a deleted object with the name of owner, because the UID differs.
func IsOwnedBy(object, owner client.Object) bool {
	return slices.ContainsFunc(object.GetOwnerReferences(), func(r metav1.OwnerReference) bool {
		return r.UID == owner.GetUID()
	})
}

// UIDPrecondition returns a precondition for a delete of object. The delete then fails if object was replaced by
// another object with the same name.
func UIDPrecondition(object client.Object) client.Preconditions {
	uid := object.GetUID()
	return client.Preconditions{UID: &uid}
}

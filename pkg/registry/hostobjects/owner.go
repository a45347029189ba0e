// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package hostobjects

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// IsOwnedBy returns true if object has an owner reference to owner. It compares UIDs, because a deleted owner may have
// had the same name.
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

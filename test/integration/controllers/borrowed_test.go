// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// TestPasswordOfAnotherUser verifies that the controller rejects a KubeVisionUser that refers to the password Secret of
// another KubeVisionUser. Otherwise, a person who may create KubeVisionUsers could guess or replace the password.
func TestPasswordOfAnotherUser(t *testing.T) {
	guard(t)
	labelledFor, owned := newSource(t, newPassword()), newSource(t, newPassword())
	owner := newUser(t, "")
	labelledFor.Labels = map[string]string{names.UserLabel: owner.Name}
	owned.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: kubevisionv1alpha1.SchemeGroupVersion.String(), Kind: "KubeVisionUser", Name: owner.Name,
		UID: owner.UID,
	}}
	if err := env.Client.Update(t.Context(), labelledFor); err != nil {
		t.Fatal(err)
	}
	if err := env.Client.Update(t.Context(), owned); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{labelledFor.Name, owned.Name} {
		awaitCondition(t, newUser(t, s), kubevisionv1alpha1.UserCredentialsCondition, metav1.ConditionFalse,
			kubevisionv1alpha1.ReasonSecretInvalid)
	}
	change(t, owner, func(u *kubevisionv1alpha1.KubeVisionUser) {
		u.Spec.PasswordSecretRef = &kubevisionv1alpha1.SecretKeyReference{Name: labelledFor.Name}
	})
	awaitReady(t, owner)
}

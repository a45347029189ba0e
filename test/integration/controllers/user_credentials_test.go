// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/names"
)

func TestCredentialsBelongToTheUser(t *testing.T) {
	guard(t)
	value := newPassword()
	u := newUser(t, newSource(t, value).Name)
	awaitReady(t, u)
	c := read(t, credentialsOf(u.Name))
	if !metav1.IsControlledBy(c, u) {
		t.Errorf("the credentials are owned by %+v", c.OwnerReferences)
	}
	if c.Type != credentials.SecretType || c.Labels[names.ManagedByLabel] != names.ManagedBy ||
		c.Labels[names.UserLabel] != u.Name {
		t.Errorf("the credentials have type %s and labels %v", c.Type, c.Labels)
	}
	for key, data := range c.Data {
		if bytes.Contains(data, []byte(value)) {
			t.Errorf("key %s contains the password in clear text", key)
		}
	}
	remove(t, u)
	eventuallyAbsent(t, c)
}

func foreignCredentials(user string, data map[string][]byte) *corev1.Secret {
	s := credentialsOf(user)
	s.Data = data
	return s
}

func TestForeignSecretIsNoWayIn(t *testing.T) {
	guard(t)
	value := newPassword()
	u := userObject(newSource(t, newPassword()).Name)
	create(t, foreignCredentials(u.Name, map[string][]byte{credentials.PasswordHashKey: []byte(hashOf(t, value))}))
	create(t, u)
	awaitNotReady(t, u, kubevisionv1alpha1.ReasonNameConflict)
	if _, err := tryLogin(t.Context(), u.Name, value, dashboardv1alpha1.CodeUnauthenticated); err != nil {
		t.Errorf("with a Secret that is not the user's credentials: %v", err)
	}
}

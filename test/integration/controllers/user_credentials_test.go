// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"maps"
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

func TestDeletedCredentialsComeBack(t *testing.T) {
	guard(t)
	value := newPassword()
	u := newUser(t, newSource(t, value).Name)
	awaitReady(t, u)
	remove(t, read(t, credentialsOf(u.Name)))
	awaitLogin(t, u.Name, value, dashboardv1alpha1.CodeOK)
}

func foreignCredentials(user string, data map[string][]byte) *corev1.Secret {
	s := credentialsOf(user)
	s.Data = data
	return s
}

func TestForeignSecretIsNotTakenForCredentials(t *testing.T) {
	for name, secret := range map[string]func(user string) *corev1.Secret{
		"of another type": func(user string) *corev1.Secret {
			return foreignCredentials(user, map[string][]byte{"mine": []byte("x")})
		},
		"of the right type": func(user string) *corev1.Secret {
			s := foreignCredentials(user, map[string][]byte{"mine": []byte("x")})
			s.Type = credentials.SecretType
			return s
		},
		"with KubeVision's labels": func(user string) *corev1.Secret {
			s := foreignCredentials(user, map[string][]byte{"mine": []byte("x")})
			s.Labels = map[string]string{names.ManagedByLabel: names.ManagedBy, names.UserLabel: user}
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			guard(t)
			value := newPassword()
			u := userObject(newSource(t, value).Name)
			foreign := secret(u.Name)
			create(t, foreign)
			create(t, u)
			awaitNotReady(t, u, kubevisionv1alpha1.ReasonNameConflict)
			if now := read(t, credentialsOf(u.Name)); now.ResourceVersion != foreign.ResourceVersion ||
				!maps.EqualFunc(now.Data, foreign.Data, bytes.Equal) {
				t.Errorf("the Secret was touched: %+v", now)
			}
			staysNotReady(t, u, kubevisionv1alpha1.ReasonNameConflict)
			remove(t, foreign)
			awaitReady(t, u)
			awaitLogin(t, u.Name, value, dashboardv1alpha1.CodeOK)
		})
	}
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

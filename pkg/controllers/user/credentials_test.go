// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package user_test

import (
	"bytes"
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/names"
)

func TestDeletedCredentialsComeBack(t *testing.T) {
	s := start(t)
	value := newPassword()
	u := newUser(t, s, newSource(t, s, withPassword(value)).Name)
	shared.AwaitReady(t, u)
	s.Delete(t, credentialsOf(u.Name))
	awaitPassword(t, s, u.Name, value)
}

// TestForeignSecrets verifies that the controller neither uses nor changes a Secret that another program has created.
// The Secret has the name that the controller needs for the credentials of a user.
func TestForeignSecrets(t *testing.T) {
	s := start(t)
	for name, change := range map[string]func(*corev1.Secret, string){
		"of another type":   func(*corev1.Secret, string) {},
		"of the right type": func(s *corev1.Secret, _ string) { s.Type = credentials.SecretType },
		"with KubeVision's labels": func(s *corev1.Secret, user string) {
			s.Labels = map[string]string{names.ManagedByLabel: names.ManagedBy, names.UserLabel: user}
		},
	} {
		t.Run(name, func(t *testing.T) {
			value := newPassword()
			u := userObject(newSource(t, s, withPassword(value)).Name)
			foreign := credentialsOf(u.Name)
			foreign.Data = map[string][]byte{"mine": []byte("x")}
			change(foreign, u.Name)
			s.Create(t, foreign)
			s.Create(t, u)
			shared.AwaitNotReady(t, u, kubevisionv1alpha1.ReasonNameConflict)
			now := credentialsOf(u.Name)
			if err := s.Client.Get(t.Context(), client.ObjectKeyFromObject(now), now); err != nil {
				t.Fatal(err)
			}
			if now.ResourceVersion != foreign.ResourceVersion || !maps.EqualFunc(now.Data, foreign.Data, bytes.Equal) {
				t.Errorf("the Secret was changed: %+v", now)
			}
			s.Delete(t, foreign)
			shared.AwaitReady(t, u)
			awaitPassword(t, s, u.Name, value)
		})
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"testing"

	"golang.org/x/crypto/argon2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// hashOf returns the Argon2id hash of a password. It does not use KubeVision's code.
func hashOf(tb testing.TB, password string) string {
	tb.Helper()
	salt := []byte(rand.Text()[:16])
	key := argon2.IDKey([]byte(password), salt, 2, 19*1024, 1, 32)
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=2,p=1$%s$%s", argon2.Version, 19*1024, encode(salt), encode(key))
}

func TestPasswordIsTakenOver(t *testing.T) {
	for name, form := range map[string]func(testing.TB, string) string{
		"in clear":                  func(_ testing.TB, value string) string { return value },
		"as hash":                   hashOf,
		"in clear, with a line end": func(_ testing.TB, value string) string { return value + "\n" },
		"as hash, with a line end": func(tb testing.TB,
			value string) string {
			tb.Helper()
			return hashOf(tb, value) + "\r\n"
		},
	} {
		t.Run(name, func(t *testing.T) {
			guard(t)
			value := newPassword()
			u := newUser(t, newSource(t, form(t, value)).Name)
			awaitReady(t, u)
			awaitCondition(t, u, kubevisionv1alpha1.UserCredentialsCondition, metav1.ConditionTrue,
				kubevisionv1alpha1.ReasonPasswordSet)
			awaitLogin(t, u.Name, value, dashboardv1alpha1.CodeOK)
			if _, err := tryLogin(t.Context(), u.Name, value+"x", dashboardv1alpha1.CodeUnauthenticated); err != nil {
				t.Errorf("wrong password: %v", err)
			}
		})
	}
}

func TestUserWithoutPassword(t *testing.T) {
	guard(t)
	u := newUser(t, "")
	awaitNotReady(t, u, kubevisionv1alpha1.ReasonNoPassword)
	if _, err := tryLogin(t.Context(), u.Name, newPassword(), dashboardv1alpha1.CodeUnauthenticated); err != nil {
		t.Error(err)
	}
}

func TestChangeOfTheSecretChangesThePassword(t *testing.T) {
	guard(t)
	first, second := newPassword(), newPassword()
	source := newSource(t, first)
	u := newUser(t, source.Name)
	awaitReady(t, u)
	awaitLogin(t, u.Name, first, dashboardv1alpha1.CodeOK)
	change(t, source, func(s *corev1.Secret) { s.Data[names.PasswordKey] = []byte(second) })
	awaitLogin(t, u.Name, second, dashboardv1alpha1.CodeOK)
	if _, err := tryLogin(t.Context(), u.Name, first, dashboardv1alpha1.CodeUnauthenticated); err != nil {
		t.Errorf("the old password: %v", err)
	}
	awaitReady(t, u)
}

func replacePasswordHash(tb testing.TB, u *kubevisionv1alpha1.KubeVisionUser, password string) {
	tb.Helper()
	change(tb, credentialsOf(u.Name), func(s *corev1.Secret) {
		s.Data[credentials.PasswordHashKey] = []byte(hashOf(tb, password))
	})
}

func TestControllerRestartDoesNotUndoTheUsersChoice(t *testing.T) {
	guard(t)
	given, chosen := newPassword(), newPassword()
	u := newUser(t, newSource(t, given).Name)
	awaitReady(t, u)
	replacePasswordHash(t, u, chosen)
	restart(t)
	awaitLeader(t)
	awaitLogin(t, u.Name, chosen, dashboardv1alpha1.CodeOK)
	if _, err := tryLogin(t.Context(), u.Name, given, dashboardv1alpha1.CodeUnauthenticated); err != nil {
		t.Errorf("the password of the Secret: %v", err)
	}
}

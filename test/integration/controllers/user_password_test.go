// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// hashOf hashes a password with an independent implementation, as another tool would.
func hashOf(tb testing.TB, value string) string {
	tb.Helper()
	salt := []byte(rand.Text()[:16])
	key := argon2.IDKey([]byte(value), salt, 2, 19*1024, 1, 32)
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

func TestPasswordOfAnotherKey(t *testing.T) {
	guard(t)
	value := newPassword()
	source := newSource(t, newPassword())
	change(t, source, func(s *corev1.Secret) { s.Data["other"] = []byte(value) })
	u := userObject(source.Name)
	u.Spec.PasswordSecretRef.Key = "other"
	create(t, u)
	awaitReady(t, u)
	awaitLogin(t, u.Name, value, dashboardv1alpha1.CodeOK)
}

func TestBadSecretIsReportedAndItsCorrectionSeen(t *testing.T) {
	const okHash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for name, tc := range map[string]struct {
		data        map[string][]byte
		wantMessage string
	}{
		"no such key":  {map[string][]byte{"other": []byte("x")}, "key password of Secret"},
		"empty":        {map[string][]byte{names.PasswordKey: nil}, "missing or empty"},
		"invalid hash": {map[string][]byte{names.PasswordKey: []byte(okHash + " ")}, "not a valid hash"},
		"ruinous hash": {map[string][]byte{names.PasswordKey: []byte(strings.Replace(okHash, "m=19456", "m=4194304",
			1))}, "not a valid hash"},
		"slow hash": {map[string][]byte{names.PasswordKey: []byte(strings.Replace(okHash, "m=19456,t=2",
			"m=262144,t=16", 1))}, "not a valid hash"},
		"far too long": {map[string][]byte{names.PasswordKey: []byte(canary + strings.Repeat("x",
			password.MaxLength))}, "longer than 1024 bytes"},
		"no data": {nil, "missing or empty"},
		"another kind": {map[string][]byte{names.PasswordKey: []byte(strings.Replace(okHash, "argon2id", "argon2i",
			1))}, "not a valid hash"},
		"hash cut off": {map[string][]byte{names.PasswordKey: []byte("$argon2id$")}, "not a valid hash"},
		"other version": {map[string][]byte{names.PasswordKey: []byte(strings.Replace(okHash, "v=19", "v=16", 1))},
			"not a valid hash"},
	} {
		t.Run(name, func(t *testing.T) {
			guard(t)
			source := newSource(t, "")
			change(t, source, func(s *corev1.Secret) { s.Data = tc.data })
			u := newUser(t, source.Name)
			c := awaitNotReady(t, u, kubevisionv1alpha1.ReasonSecretInvalid)
			if !strings.Contains(c.Message, tc.wantMessage) || !strings.Contains(c.Message, source.Name) {
				t.Errorf("message %q does not contain %q and the name of the Secret", c.Message, tc.wantMessage)
			}
			if strings.Contains(c.Message, canary) || strings.Contains(c.Message, "xxxx") ||
				strings.Contains(c.Message, "c29tZXNhbHQ") {
				t.Errorf("message %q reveals data of the Secret", c.Message)
			}
			if err := absent(t.Context(), credentialsOf(u.Name)); err != nil {
				t.Errorf("credentials were made of a bad Secret: %v", err)
			}
			value := newPassword()
			change(t, source, func(s *corev1.Secret) { s.Data = map[string][]byte{names.PasswordKey: []byte(value)} })
			awaitReady(t, u)
			awaitLogin(t, u.Name, value, dashboardv1alpha1.CodeOK)
		})
	}
}

// TestHashThatWasTakenOverAndCostsTooMuch verifies that the cost limit also applies to hashes that were taken over by
// a version without it.
func TestHashThatWasTakenOverAndCostsTooMuch(t *testing.T) {
	guard(t)
	const slow = "$argon2id$v=19$m=262144,t=16,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	source := newSource(t, "a password in clear")
	u := newUser(t, source.Name)
	awaitReady(t, u)
	credentials := credentialsOf(u.Name)
	change(t, credentials, func(s *corev1.Secret) {
		s.Data["passwordHash"], s.Data["passwordSourceHash"] = []byte(slow), []byte(slow)
	})
	change(t, source, func(s *corev1.Secret) { s.Data = map[string][]byte{names.PasswordKey: []byte(slow)} })
	awaitNotReady(t, u, kubevisionv1alpha1.ReasonSecretInvalid)
	value := newPassword()
	change(t, source, func(s *corev1.Secret) { s.Data = map[string][]byte{names.PasswordKey: []byte(value)} })
	awaitReady(t, u)
	awaitLogin(t, u.Name, value, dashboardv1alpha1.CodeOK)
}

func TestMissingSecretIsReportedAndItsAppearanceSeen(t *testing.T) {
	guard(t)
	u := userObject(unique("source"))
	create(t, u)
	staysNotReady(t, u, kubevisionv1alpha1.ReasonSecretNotFound)
	value := newPassword()
	create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace, Name: u.Spec.PasswordSecretRef.Name},
		Data:       map[string][]byte{names.PasswordKey: []byte(value)},
	})
	awaitReady(t, u)
	awaitLogin(t, u.Name, value, dashboardv1alpha1.CodeOK)
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

// choose sets a password as the user would, without a change of the Secret.
func choose(tb testing.TB, u *kubevisionv1alpha1.KubeVisionUser, value string) {
	tb.Helper()
	change(tb, credentialsOf(u.Name), func(s *corev1.Secret) {
		s.Data[credentials.PasswordHashKey] = []byte(hashOf(tb, value))
	})
}

func TestLabelOfTheSecretDoesNotUndoTheUsersChoice(t *testing.T) {
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
			given, chosen := newPassword(), newPassword()
			source := newSource(t, form(t, given))
			u := newUser(t, source.Name)
			awaitReady(t, u)
			choose(t, u, chosen)
			awaitLogin(t, u.Name, chosen, dashboardv1alpha1.CodeOK)

			change(t, source, func(s *corev1.Secret) { s.Labels = map[string]string{"changed": "yes"} })
			eventually(t, soon, "wait until the new version of the Secret was seen", func(ctx context.Context) error {
				c := credentialsOf(u.Name)
				if err := env.Client.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
					return err
				}
				if got := c.Annotations[credentials.PasswordSourceAnnotation]; !strings.Contains(got,
					source.ResourceVersion) {
					return errors.New("the credentials come from " + got)
				}
				return nil
			})
			if _, err := tryLogin(t.Context(), u.Name, chosen, dashboardv1alpha1.CodeOK); err != nil {
				t.Errorf("the password that the user has chosen: %v", err)
			}
			if _, err := tryLogin(t.Context(), u.Name, given, dashboardv1alpha1.CodeUnauthenticated); err != nil {
				t.Errorf("the password of the Secret: %v", err)
			}
		})
	}
}

func TestControllerRestartDoesNotUndoTheUsersChoice(t *testing.T) {
	guard(t)
	given, chosen := newPassword(), newPassword()
	u := newUser(t, newSource(t, given).Name)
	awaitReady(t, u)
	choose(t, u, chosen)
	restart(t)
	awaitLeader(t)
	awaitLogin(t, u.Name, chosen, dashboardv1alpha1.CodeOK)
	if _, err := tryLogin(t.Context(), u.Name, given, dashboardv1alpha1.CodeUnauthenticated); err != nil {
		t.Errorf("the password of the Secret: %v", err)
	}
}

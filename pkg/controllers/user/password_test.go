// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package user_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/controlplane"
)

const (
	// wellFormed is a valid password hash that another program has created.
	wellFormed = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	// expensive is a password hash whose computation costs more than the limit allows.
	expensive = "$argon2id$v=19$m=262144,t=16,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
)

func TestPasswordOfAnotherKey(t *testing.T) {
	s := start(t)
	value := newPassword()
	source := newSource(t, s, map[string][]byte{names.PasswordKey: []byte(newPassword()), "other": []byte(value)})
	u := userObject(source.Name)
	u.Spec.PasswordSecretRef.Key = "other"
	s.Create(t, u)
	shared.AwaitReady(t, u)
	awaitPassword(t, s, u.Name, value)
}

// TestInvalidSecrets verifies that the status reports an invalid Secret without its data, and that a corrected Secret
// is imported.
func TestInvalidSecrets(t *testing.T) {
	s := start(t)
	const invalidHash = "not a valid hash"
	long := canary + strings.Repeat("x", password.MaxLength)
	replaced := func(old, replacement string) map[string][]byte {
		return withPassword(strings.Replace(wellFormed, old, replacement, 1))
	}
	for name, tc := range map[string]struct {
		data    map[string][]byte
		message string
	}{
		"no data":                   {nil, "missing or empty"},
		"no such key":               {map[string][]byte{"other": []byte("x")}, "key password of Secret"},
		"empty":                     {withPassword(""), "missing or empty"},
		"too long":                  {withPassword(long), "longer than 1024 bytes"},
		"hash with a space":         {withPassword(wellFormed + " "), invalidHash},
		"truncated hash":            {withPassword("$argon2id$"), invalidHash},
		"hash of another kind":      {replaced("argon2id", "argon2i"), invalidHash},
		"hash of an old version":    {replaced("v=19", "v=16"), invalidHash},
		"hash with too much memory": {replaced("m=19456", "m=4194304"), invalidHash},
		"expensive hash":            {withPassword(expensive), invalidHash},
	} {
		t.Run(name, func(t *testing.T) {
			source := newSource(t, s, tc.data)
			u := newUser(t, s, source.Name)
			c := shared.AwaitNotReady(t, u, kubevisionv1alpha1.ReasonSecretInvalid)
			if !strings.Contains(c.Message, tc.message) || !strings.Contains(c.Message, source.Name) {
				t.Errorf("message %q does not contain %q and the name of the Secret", c.Message, tc.message)
			}
			for _, data := range []string{canary, "xxxx", "c29tZXNhbHQ"} {
				if strings.Contains(c.Message, data) {
					t.Errorf("message %q reveals data of the Secret", c.Message)
				}
			}
			made := credentialsOf(u.Name)
			if err := s.Client.Get(t.Context(), client.ObjectKeyFromObject(made), made); !apierrors.IsNotFound(err) {
				t.Errorf("credentials were made of an invalid Secret (%v)", err)
			}
			value := newPassword()
			controlplane.Change(t, s.Client, source, func(s *corev1.Secret) { s.Data = withPassword(value) })
			shared.AwaitReady(t, u)
			awaitPassword(t, s, u.Name, value)
		})
	}
}

// TestExpensiveHashOfAnEarlierVersion verifies that the limit of the cost also applies to a hash in the credentials,
// which a version without the limit may have written.
func TestExpensiveHashOfAnEarlierVersion(t *testing.T) {
	s := start(t)
	source := newSource(t, s, withPassword(newPassword()))
	u := newUser(t, s, source.Name)
	shared.AwaitReady(t, u)
	controlplane.Change(t, s.Client, credentialsOf(u.Name), func(s *corev1.Secret) {
		s.Data[credentials.PasswordHashKey] = []byte(expensive)
		s.Data["passwordSourceHash"] = []byte(expensive)
	})
	controlplane.Change(t, s.Client, source, func(s *corev1.Secret) { s.Data = withPassword(expensive) })
	shared.AwaitNotReady(t, u, kubevisionv1alpha1.ReasonSecretInvalid)
	value := newPassword()
	controlplane.Change(t, s.Client, source, func(s *corev1.Secret) { s.Data = withPassword(value) })
	shared.AwaitReady(t, u)
	awaitPassword(t, s, u.Name, value)
}

func TestSecretThatAppearsLater(t *testing.T) {
	s := start(t)
	u := newUser(t, s, fixture.Name("source"))
	shared.AwaitNotReady(t, u, kubevisionv1alpha1.ReasonSecretNotFound)
	value := newPassword()
	s.Create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace, Name: u.Spec.PasswordSecretRef.Name},
		Data:       withPassword(value),
	})
	shared.AwaitReady(t, u)
	awaitPassword(t, s, u.Name, value)
}

// TestChosenPasswordSurvivesALabel verifies that the changed password of a user remains valid when a label is added to
// the Secret with the initial password. The initial password is plain text or a hash, with or without a line end.
func TestChosenPasswordSurvivesALabel(t *testing.T) {
	s, h := start(t), newHasher(t)
	hashed := func(t *testing.T, value string) string {
		t.Helper()
		hash, err := h.Hash(t.Context(), value)
		if err != nil {
			t.Fatal(err)
		}
		return hash.String()
	}
	plain := func(_ *testing.T, value string) string { return value }
	for name, form := range map[string]struct {
		encode func(*testing.T, string) string
		suffix string
	}{
		"plain": {plain, ""}, "plain with a line end": {plain, "\n"},
		"hash": {hashed, ""}, "hash with a line end": {hashed, "\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			given, chosen := newPassword(), newPassword()
			source := newSource(t, s, withPassword(form.encode(t, given)+form.suffix))
			u := newUser(t, s, source.Name)
			shared.AwaitReady(t, u)
			awaitPassword(t, s, u.Name, given)
			controlplane.Change(t, s.Client, credentialsOf(u.Name), func(s *corev1.Secret) {
				s.Data[credentials.PasswordHashKey] = []byte(hashed(t, chosen))
			})
			controlplane.Change(t, s.Client, source, func(s *corev1.Secret) {
				s.Labels = map[string]string{"changed": "yes"}
			})
			fixture.Eventually(t, "wait for the new version of the Secret", func(ctx context.Context) error {
				c := credentialsOf(u.Name)
				if err := s.Client.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
					return err
				}
				if got := c.Annotations[credentials.PasswordSourceAnnotation]; !strings.Contains(got,
					source.ResourceVersion) {
					return errors.New("the credentials come from " + got)
				}
				return nil
			})
			if err := verify(t.Context(), s.Client, h, u.Name, chosen); err != nil {
				t.Errorf("the chosen password: %v", err)
			}
		})
	}
}

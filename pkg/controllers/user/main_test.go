// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package user_test

import (
	"context"
	"crypto/rand"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/controlplane"
)

// canary is the prefix of all passwords in the tests of this package. A log that contains canary discloses a password.
const canary = "canary-"

var shared controlplane.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// start starts the controllers. At the end of the test, it verifies that they have logged no password.
func start(t *testing.T) fixture.Set {
	t.Helper()
	c := shared.Controllers(t)
	shared.Guard(t, canary)
	return fixture.Set{Client: c, Programs: c}
}

func newPassword() string { return canary + rand.Text() }

func newSource(t *testing.T, s fixture.Set, data map[string][]byte) *corev1.Secret {
	t.Helper()
	source := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace, Name: fixture.Name("source")}, Data: data,
	}
	s.Create(t, source)
	return source
}

func withPassword(value string) map[string][]byte {
	return map[string][]byte{names.PasswordKey: []byte(value)}
}

func userObject(source string) *kubevisionv1alpha1.KubeVisionUser {
	return &kubevisionv1alpha1.KubeVisionUser{
		ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("user")},
		Spec: kubevisionv1alpha1.KubeVisionUserSpec{
			PasswordSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: source},
		},
	}
}

func newUser(t *testing.T, s fixture.Set, source string) *kubevisionv1alpha1.KubeVisionUser {
	t.Helper()
	u := userObject(source)
	s.Create(t, u)
	return u
}

func credentialsOf(user string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: names.Namespace, Name: names.CredentialsSecret(user),
	}}
}

func newHasher(t *testing.T) *password.Hasher {
	t.Helper()
	h, err := password.NewHasher(t.Context(), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func verify(ctx context.Context, c client.Client, h *password.Hasher, user, value string) error {
	secret := credentialsOf(user)
	if err := c.Get(ctx, client.ObjectKeyFromObject(secret), secret); err != nil {
		return err
	}
	hash, err := password.Parse(string(secret.Data[credentials.PasswordHashKey]))
	if err != nil {
		return err
	}
	return h.Verify(ctx, value, hash)
}

func awaitPassword(t *testing.T, s fixture.Set, user, value string) {
	t.Helper()
	h := newHasher(t)
	fixture.Eventually(t, "wait for the password of "+user, func(ctx context.Context) error {
		return verify(ctx, s.Client, h, user, value)
	})
}

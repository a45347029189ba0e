// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

func unique(prefix string) string { return prefix + "-" + strings.ToLower(rand.Text()[:8]) }

// canary is the prefix of all passwords. A test fails if canary appears in a log.
const canary = "canary-"

func newPassword() string { return canary + rand.Text() }

// writer returns a client with the right to write the object o. For internal objects of KubeVision, such as
// KubeVisionSessions, the client uses a ServiceAccount of KubeVision.
func writer(o client.Object) client.Client {
	switch kind := o.GetObjectKind().GroupVersionKind().Kind; o := o.(type) {
	case *kubevisionv1alpha1.KubeVisionSession, *kubevisionv1alpha1.KubeVisionLoginThrottle,
		*kubevisionv1alpha1.KubeVisionPolicyParameter, *corev1.ConfigMap:
		return env.Programs
	case *corev1.Secret:
		if names.IsOwnSecret(o.Name) {
			return env.Programs
		}
	case *unstructured.Unstructured:
		if kind == "KubeVisionSession" || kind == "KubeVisionLoginThrottle" || kind == parameterKind {
			return env.Programs
		}
	}
	return env.Client
}

func create(tb testing.TB, o client.Object) {
	tb.Helper()
	if err := writer(o).Create(tb.Context(), o); err != nil {
		tb.Fatalf("creating %T %s: %v", o, o.GetName(), err)
	}
	tb.Cleanup(func() { remove(tb, o) })
}

// remove deletes an object. Unless the object is a namespace, remove waits until the object no longer exists.
func remove(tb testing.TB, o client.Object) {
	tb.Helper()
	ctx, cancel := later(tb)
	defer cancel()
	if err := env.Client.Delete(ctx, o); client.IgnoreNotFound(err) != nil {
		tb.Errorf("deleting %T %s: %v", o, o.GetName(), err)
		return
	}
	if _, ok := o.(*corev1.Namespace); ok {
		return
	}
	if err := poll(ctx, soon, "deletion of "+o.GetName(),
		func(ctx context.Context) error { return absent(ctx, o) }); err != nil {
		tb.Error(err)
	}
}

// absent returns an error if the object o still exists. If o has a UID, a newer object with the same name is not an
// error.
func absent(ctx context.Context, o client.Object) error {
	existing, ok := o.DeepCopyObject().(client.Object)
	if !ok {
		return errors.New("not an object")
	}
	err := env.Client.Get(ctx, client.ObjectKeyFromObject(o), existing)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	case o.GetUID() != "" && existing.GetUID() != o.GetUID():
		return nil
	}
	return errors.New(o.GetName() + " exists")
}

func change[T client.Object](tb testing.TB, o T, how func(T)) {
	tb.Helper()
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if err := env.Client.Get(tb.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		how(o)
		return writer(o).Update(tb.Context(), o)
	})
	if err != nil {
		tb.Fatalf("changing %T %s: %v", o, o.GetName(), err)
	}
}

func read[T client.Object](tb testing.TB, o T) T {
	tb.Helper()
	if err := env.Client.Get(tb.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		tb.Fatalf("reading %T %s: %v", o, o.GetName(), err)
	}
	return o
}

func newNamespace(tb testing.TB, labels map[string]string) string {
	tb.Helper()
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: unique("ns"), Labels: labels}}
	create(tb, n)
	return n.Name
}

func newSource(tb testing.TB, value string) *corev1.Secret {
	tb.Helper()
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace, Name: unique("source")},
		Data:       map[string][]byte{names.PasswordKey: []byte(value)},
	}
	create(tb, s)
	return s
}

func userObject(secretName string) *kubevisionv1alpha1.KubeVisionUser {
	u := &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: unique("user")}}
	if secretName != "" {
		u.Spec.PasswordSecretRef = &kubevisionv1alpha1.SecretKeyReference{Name: secretName}
	}
	return u
}

// newUser creates a user whose password is in the given Secret. If secretName is empty, the user has no password.
func newUser(tb testing.TB, secretName string) *kubevisionv1alpha1.KubeVisionUser {
	tb.Helper()
	u := userObject(secretName)
	create(tb, u)
	return u
}

func credentialsOf(user string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace,
		Name: names.CredentialsSecret(user)}}
}

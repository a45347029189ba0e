// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

func adminObjects() []client.Object {
	return []client.Object{
		&kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: names.AdminUser}},
		&kubevisionv1alpha1.KubeVisionRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: names.AdminUser}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace, Name: names.AdminPasswordSecret}},
	}
}

func bootstrapMarker() *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace, Name: names.BootstrapConfigMap}}
}

func awaitBootstrapState(tb testing.TB, want string) {
	tb.Helper()
	eventually(tb, lease, "wait for the state of the bootstrap", func(ctx context.Context) error {
		m := bootstrapMarker()
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(m), m); err != nil {
			return err
		}
		if m.Data["state"] != want {
			return errors.New("it is " + m.Data["state"])
		}
		return nil
	})
}

// withoutAdmin deletes the user "admin" that KubeVision created at the installation. At the end of the test, it makes
// KubeVision create the user again.
func withoutAdmin(tb testing.TB) {
	tb.Helper()
	tb.Cleanup(func() {
		ctx, cancel := later(tb)
		defer cancel()
		m := bootstrapMarker()
		m.Data = map[string]string{"state": "begun"}
		err := env.Programs.Create(ctx, m)
		if apierrors.IsAlreadyExists(err) {
			err = env.Programs.Update(ctx, m)
		}
		if err := errors.Join(err, env.KubeVision.ControllerManager().Restart(ctx)); err != nil {
			tb.Errorf("creating the first user again: %v", err)
		}
		if err := poll(ctx, lease, "wait for the first user", adminExists); err != nil {
			tb.Error(err)
		}
	})
	for _, o := range adminObjects() {
		allowRemovingLastAdmin(tb, o)
		remove(tb, o)
	}
	eventuallyAbsent(tb, credentialsOf(names.AdminUser))
}

func adminExists(ctx context.Context) error {
	var errs []error
	for _, o := range adminObjects() {
		errs = append(errs, exists(o, env.Client.Get(ctx, client.ObjectKeyFromObject(o), o)))
	}
	return errors.Join(errs...)
}

func noAdmin(tb testing.TB) {
	tb.Helper()
	for _, o := range adminObjects() {
		if err := absent(tb.Context(), o); err != nil {
			tb.Error(err)
		}
	}
}

// adminCanLogIn fails the test unless the user "admin" can log in with the initial password and has the rights of an
// administrator.
func adminCanLogIn(tb testing.TB) {
	tb.Helper()
	if err := adminExists(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	admin := read(tb, &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: names.AdminUser}})
	if !admin.Spec.MustChangePassword {
		tb.Error("the first user is not required to change the password")
	}
	awaitReady(tb, admin)
	source := read(tb, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace,
		Name: names.AdminPasswordSecret}})
	value := string(source.Data[names.PasswordKey])
	if len(value) < 20 {
		tb.Errorf("the first user's password has %d characters", len(value))
	}
	awaitLogin(tb, names.AdminUser, value, dashboardv1alpha1.CodeOK)
	b := read(tb, &kubevisionv1alpha1.KubeVisionRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: names.AdminUser}})
	awaitReady(tb, b)
	awaitMade(tb, b, inWholeCluster(b, "kubevision:admin", user(names.AdminUser)), using(b, "*", user(names.AdminUser)))
}

func TestFirstUser(t *testing.T) {
	guard(t)
	host(t)
	adminCanLogIn(t)
	awaitBootstrapState(t, "done")
}

func TestDeletedFirstUserStaysDeleted(t *testing.T) {
	guard(t)
	host(t)
	withoutAdmin(t)
	restart(t)
	awaitLeader(t)
	awaitBootstrapState(t, "done")
	noAdmin(t)
}

func TestInstallationWithUsersGetsNoFirstUser(t *testing.T) {
	guard(t)
	newUser(t, "")
	withoutAdmin(t)
	remove(t, bootstrapMarker())
	restart(t)
	awaitBootstrapState(t, "done")
	noAdmin(t)
}

func TestFirstUserHalfMadeIsFinished(t *testing.T) {
	guard(t)
	host(t)
	withoutAdmin(t)
	value := newPassword()
	if err := env.Client.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace, Name: names.AdminPasswordSecret},
		Data:       map[string][]byte{names.PasswordKey: []byte(value)},
	}); err != nil {
		t.Fatal(err)
	}
	change(t, bootstrapMarker(), func(m *corev1.ConfigMap) { m.Data["state"] = "begun" })
	crash(t)
	awaitBootstrapState(t, "done")
	adminCanLogIn(t)
	awaitLogin(t, names.AdminUser, value, dashboardv1alpha1.CodeOK)
}

// TestFirstRunRegistersTheHost verifies that a new installation registers the cluster on which KubeVision runs.
// KubeVision does not register the cluster a second time.
func TestFirstRunRegistersTheHost(t *testing.T) {
	const name = "first-run"
	guard(t)
	noHost(t)
	withoutAdmin(t)
	program := env.KubeVision.ControllerManager()
	begin := func() {
		t.Helper()
		change(t, bootstrapMarker(), func(m *corev1.ConfigMap) { m.Data["state"] = "begun" })
		if err := program.RestartWith(t.Context(), "--bootstrap-cluster="+name); err != nil {
			t.Fatal(err)
		}
		awaitBootstrapState(t, "done")
	}
	t.Cleanup(func() {
		ctx, cancel := later(t)
		defer cancel()
		if err := program.RestartWith(ctx); err != nil {
			t.Error(err)
		}
	})
	begin()
	c := read(t, hostObject(name))
	t.Cleanup(func() { remove(t, c) })
	if !c.Spec.InCluster {
		t.Errorf("the cluster is %+v", c.Spec)
	}
	awaitReady(t, c)
	adminCanLogIn(t)

	remove(t, c)
	host(t)
	begin()
	if err := absent(t.Context(), hostObject(name)); err != nil {
		t.Errorf("the host is registered twice: %v", err)
	}
}

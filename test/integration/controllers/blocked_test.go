// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/grants"
)

// TestOneNamespaceHoldsUpNoOther verifies that a tenant cannot delay grants outside the tenant's namespace. In the
// namespace, the tenant creates a wrong RoleBinding kubevision-impersonator, which KubeVision must replace. A finalizer
// of the tenant prevents the replacement.
func TestOneNamespaceHoldsUpNoOther(t *testing.T) {
	guard(t)
	host(t)
	n := newNamespace(t, nil)
	trap := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: n, Name: names.Impersonator, Finalizers: []string{"example.com/kept"},
			Labels: map[string]string{names.ManagedByLabel: names.ManagedBy},
		},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
	}
	if err := env.Client.Create(t.Context(), trap); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := later(t)
		defer cancel()
		err := env.Client.Patch(ctx, trap, merge(`{"metadata":{"finalizers":null}}`))
		if client.IgnoreNotFound(err) != nil {
			t.Error(err)
		}
	})
	create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: n, Name: "bot"}})
	newBinding(t, kubevisionv1alpha1.RoleReadonly, nil,
		kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectServiceAccount, Namespace: n, Name: "bot"})
	u := newUser(t, "")
	awaitReady(t, newBinding(t, kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name)))
}

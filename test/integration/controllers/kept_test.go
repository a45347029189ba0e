// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/grants"
)

// TestFinalizersKeepNoRights verifies that a tenant cannot preserve rights with a finalizer on a RoleBinding. The
// controller removes the subjects of the RoleBinding before the deletion.
func TestFinalizersKeepNoRights(t *testing.T) {
	guard(t)
	host(t)
	n, other := newNamespace(t, nil), newNamespace(t, nil)
	for name, end := range map[string]func(testing.TB, *kubevisionv1alpha1.KubeVisionRoleBinding){
		"the binding is deleted": func(tb testing.TB, b *kubevisionv1alpha1.KubeVisionRoleBinding) {
			tb.Helper()
			remove(tb, b)
		},
		"the namespace is not selected any more": func(tb testing.TB, b *kubevisionv1alpha1.KubeVisionRoleBinding) {
			tb.Helper()
			change(tb, b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) { b.Spec.Namespaces = grants.Named(other) })
		},
		"the role changes": func(tb testing.TB, b *kubevisionv1alpha1.KubeVisionRoleBinding) {
			tb.Helper()
			change(tb, b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
				b.Spec.RoleRef.Name = kubevisionv1alpha1.RoleReadonly
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUser(t, "")
			b := newBinding(t, kubevisionv1alpha1.RoleDev, grants.Named(n), grants.ToUser(u.Name))
			awaitReady(t, b)
			q := authorizationv1.ResourceAttributes{Verb: "delete", Resource: "secrets", Namespace: n}
			eventually(t, soon, "have the right", may("kubevision:"+u.Name, q, true))
			made := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: n,
				Name: "kubevision:binding:" + b.Name}}
			patch := func(finalizers string) error {
				ctx, cancel := later(t)
				defer cancel()
				return client.IgnoreNotFound(env.Client.Patch(ctx, made,
					merge(`{"metadata":{"finalizers":`+finalizers+`}}`)))
			}
			if err := patch(`["example.com/kept"]`); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := patch("null"); err != nil {
					t.Error(err)
				}
			})
			end(t, b)
			eventually(t, soon, "have lost the right", may("kubevision:"+u.Name, q, false))
		})
	}
}

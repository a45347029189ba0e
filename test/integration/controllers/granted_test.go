// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/grants"
)

func namespaceObject(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func impersonateAttributes(resource, name string) authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{Verb: "impersonate", Resource: resource, Name: name}
}

func grantOf(b *rbacv1.RoleBinding) string {
	role := rbacv1.RoleRef{APIGroup: b.RoleRef.APIGroup, Kind: "ClusterRole", Name: b.RoleRef.Name}
	return b.RoleRef.Kind + " " + grants.Describe(role, b.Subjects)
}

// withoutBindings deletes all KubeVisionRoleBindings, and creates them again at the end of the test.
func withoutBindings(tb testing.TB) {
	tb.Helper()
	var all kubevisionv1alpha1.KubeVisionRoleBindingList
	if err := env.Client.List(tb.Context(), &all); err != nil {
		tb.Fatal(err)
	}
	for i := range all.Items {
		b := &all.Items[i]
		allowRemovingLastAdmin(tb, b)
		remove(tb, b)
		tb.Cleanup(func() {
			ctx, cancel := later(tb)
			defer cancel()
			again := &kubevisionv1alpha1.KubeVisionRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: b.Name,
				Labels: b.Labels}, Spec: b.Spec}
			if err := env.Client.Create(ctx, again); err != nil {
				tb.Errorf("creating binding %s again: %v", b.Name, err)
			}
		})
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/grants"
)

const grantedObjectsPolicy = "kubevision-granted-objects"

// TestOnlyKubeVisionLabelsRoles verifies that only KubeVision may set its labels on Roles and RoleBindings. The
// controllers hold labelled objects in memory, so a tenant could otherwise exhaust the memory.
func TestOnlyKubeVisionLabelsRoles(t *testing.T) {
	guard(t)
	host(t)
	n := newNamespace(t, nil)
	u := newUser(t, "")
	b := newBinding(t, kubevisionv1alpha1.RoleReadonly, grants.Named(n), grants.ToUser(u.Name))
	awaitReady(t, b)
	as := delegate(t, everything(rbacv1.GroupName, "roles", "rolebindings"), mayBind("kubevision:readonly"))
	role := func(labels map[string]string) *rbacv1.Role {
		return &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: n, Name: unique("role"), Labels: labels}}
	}
	eventually(t, soon, "write a Role", func(ctx context.Context) error {
		return as.Create(ctx, role(nil), client.DryRunAll)
	})
	labelled := map[string]string{names.ManagedByLabel: names.ManagedBy}
	if err := refusedBy(grantedObjectsPolicy, as.Create(t.Context(), role(labelled), client.DryRunAll)); err != nil {
		t.Errorf("creating a Role with the label: %v", err)
	}
	mine := role(nil)
	create(t, mine)
	label := merge(`{"metadata":{"labels":{"` + names.ManagedByLabel + `":"` + names.ManagedBy + `"}}}`)
	if err := refusedBy(grantedObjectsPolicy, as.Patch(t.Context(), mine, label, client.DryRunAll)); err != nil {
		t.Errorf("labelling a Role: %v", err)
	}
	made := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: n, Name: "kubevision:binding:" + b.Name}}
	for _, body := range []string{
		`{"metadata":{"annotations":{"x":"y"}}}`, `{"metadata":{"finalizers":["example.com/f"]}}`, `{"subjects":null}`,
		`{"metadata":{"labels":{"` + names.ManagedByLabel + `":null}}}`,
	} {
		if err := refusedBy(grantedObjectsPolicy,
			as.Patch(t.Context(), made.DeepCopy(), merge(body), client.DryRunAll)); err != nil {
			t.Errorf("patching a RoleBinding of KubeVision with %s: %v", body, err)
		}
	}
	if err := as.Delete(t.Context(), made.DeepCopy(), client.DryRunAll); err != nil {
		t.Errorf("deleting a RoleBinding of KubeVision: %v", err)
	}
	if err := env.Client.Patch(t.Context(), mine, label, client.DryRunAll); err != nil {
		t.Errorf("an administrator labels a Role: %v", err)
	}
}

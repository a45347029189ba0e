// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/grants"
)

func foreignRef() rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"}
}

// TestForeignObjectIsRefused verifies that KubeVision does not overwrite an RBAC object of another owner. Instead, a
// KubeVisionRoleBinding that needs the same name reports a conflict.
func TestForeignObjectIsRefused(t *testing.T) {
	namespace := newNamespace(t, nil)
	for name, tc := range map[string]struct {
		namespaces *kubevisionv1alpha1.NamespaceTargets
		foreign    func(b *kubevisionv1alpha1.KubeVisionRoleBinding) client.Object
	}{
		"RoleBinding": {grants.Named(namespace), func(b *kubevisionv1alpha1.KubeVisionRoleBinding) client.Object {
			return &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace,
				Name: "kubevision:binding:" + b.Name}, RoleRef: foreignRef()}
		}},
		"ClusterRoleBinding": {nil, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) client.Object {
			return &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "kubevision:binding:" + b.Name},
				RoleRef: foreignRef()}
		}},
		"ClusterRole for use": {nil, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) client.Object {
			return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "kubevision:use:" + b.Name}}
		}},
		"ClusterRoleBinding for use": {nil, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) client.Object {
			return &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "kubevision:use:" + b.Name},
				RoleRef: foreignRef()}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			guard(t)
			host(t)
			u := newUser(t, "")
			b := hostBinding(kubevisionv1alpha1.RoleDev, tc.namespaces, grants.ToUser(u.Name))
			foreign := tc.foreign(b)
			create(t, foreign)
			create(t, b)
			c := awaitNotReady(t, b, kubevisionv1alpha1.ReasonNameConflict)
			if !strings.Contains(c.Message, foreign.GetName()) {
				t.Errorf("message %q does not name the object", c.Message)
			}
			before := foreign.GetResourceVersion()
			if after := read(t, foreign).GetResourceVersion(); after != before {
				t.Errorf("the object was touched: it had version %s, and has %s", before, after)
			}
			staysNotReady(t, b, kubevisionv1alpha1.ReasonNameConflict)
			remove(t, foreign)
			awaitReady(t, b)
		})
	}
}

func TestForeignObjectOutlivesTheBinding(t *testing.T) {
	guard(t)
	host(t)
	u := newUser(t, "")
	b := hostBinding(kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name))
	foreign := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "kubevision:binding:" + b.Name},
		RoleRef: foreignRef()}
	create(t, foreign)
	create(t, b)
	awaitNotReady(t, b, kubevisionv1alpha1.ReasonNameConflict)
	remove(t, b)
	if now := read(t,
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{
			Name: foreign.Name}}); now.ResourceVersion != foreign.ResourceVersion {
		t.Errorf("the object was touched: %+v", now)
	}
}

// TestForeignRoleInOneNamespaceHarmsNoOtherBinding verifies that a tenant of one namespace cannot block a
// KubeVisionRoleBinding that applies to the whole cluster. The tenant creates a Role in the namespace, with a name that
// KubeVision needs.
func TestForeignRoleInOneNamespaceHarmsNoOtherBinding(t *testing.T) {
	guard(t)
	host(t)
	n := newNamespace(t, nil)
	create(t, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: n, Name: "kubevision-impersonator"}})
	newBinding(t, kubevisionv1alpha1.RoleDev, grants.Named(n),
		kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectServiceAccount, Namespace: n, Name: "robot"})
	u := newUser(t, "")
	other := newBinding(t, kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name))
	awaitMade(t, other, inWholeCluster(other, readonly, user(u.Name)), using(other, hostName, user(u.Name)))
	awaitReady(t, other)
	awaitReady(t, host(t))
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubevision-io/kubevision/test/grants"
)

func rights(tb testing.TB, account types.NamespacedName) []string {
	tb.Helper()
	var out []string
	var clusterBindings rbacv1.ClusterRoleBindingList
	var bindings rbacv1.RoleBindingList
	if err := env.Client.List(tb.Context(), &clusterBindings); err != nil {
		tb.Fatal(err)
	}
	if err := env.Client.List(tb.Context(), &bindings); err != nil {
		tb.Fatal(err)
	}
	isOurs := func(s rbacv1.Subject) bool {
		return s.Kind == rbacv1.ServiceAccountKind && s.Namespace == account.Namespace && s.Name == account.Name ||
			s.Name == "system:serviceaccounts:"+account.Namespace ||
			s.Name == "system:serviceaccount:"+account.Namespace+":"+account.Name
	}
	for _, b := range clusterBindings.Items {
		if slices.ContainsFunc(b.Subjects, isOurs) {
			out = append(out, grants.DescribeRights(account, "", b.RoleRef, rulesOf(tb, b.RoleRef, ""))...)
		}
	}
	for _, b := range bindings.Items {
		if slices.ContainsFunc(b.Subjects, isOurs) {
			rules := rulesOf(tb, b.RoleRef, b.Namespace)
			out = append(out, grants.DescribeRights(account, b.Namespace, b.RoleRef, rules)...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// rulesOf returns the rules of a role of KubeVision. It returns nil for a role of Kubernetes, because Kubernetes may
// extend its own roles.
func rulesOf(tb testing.TB, ref rbacv1.RoleRef, namespace string) []rbacv1.PolicyRule {
	tb.Helper()
	if !strings.HasPrefix(ref.Name, "kubevision") {
		return nil
	}
	if ref.Kind == "Role" {
		role := &rbacv1.Role{}
		role.Namespace, role.Name = namespace, ref.Name
		return read(tb, role).Rules
	}
	return read(tb, clusterRole(ref.Name)).Rules
}

func expectedRights(account types.NamespacedName) []string {
	all := grants.Rights()
	// The account of the read cache is not in the manifests, because the controllers create it on each cluster.
	for _, right := range []string{
		"ClusterRole view",
		"get,list,watch clusterrolebindings.rbac.authorization.k8s.io",
		"get,list,watch clusterroles.rbac.authorization.k8s.io",
		"get,list,watch customresourcedefinitions.apiextensions.k8s.io",
		"get,list,watch ingressclasses.networking.k8s.io",
		"get,list,watch namespaces",
		"get,list,watch nodes",
		"get,list,watch persistentvolumes",
		"get,list,watch priorityclasses.scheduling.k8s.io",
		"get,list,watch rolebindings.rbac.authorization.k8s.io",
		"get,list,watch roles.rbac.authorization.k8s.io",
		"get,list,watch storageclasses.storage.k8s.io",
	} {
		all = append(all, "kubevision-system/kubevision-reader in all: "+right)
	}
	return slices.DeleteFunc(all, func(line string) bool { return !strings.HasPrefix(line, account.String()+" ") })
}

// TestRightsOfThePrograms verifies that the ServiceAccounts of KubeVision have exactly the expected rights while the
// controllers run. The controllers have the verb "escalate", and could therefore grant more rights to themselves.
func TestRightsOfThePrograms(t *testing.T) {
	guard(t)
	host(t)
	for _, name := range []string{"kubevision-controller-manager", "kubevision-apiserver", "kubevision-reader"} {
		account := types.NamespacedName{Namespace: "kubevision-system", Name: name}
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(expectedRights(account), rights(t, account)); diff != "" {
				t.Errorf("the rights of %s differ (-want +got):\n%s", account, diff)
			}
		})
	}
}

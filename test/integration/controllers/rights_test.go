// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
)

// rights returns all rules of a ServiceAccount of KubeVision, each with its scope. It reads them from the cluster.
func rights(tb testing.TB, account string) []string {
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
		return s.Kind == rbacv1.ServiceAccountKind && s.Namespace == "kubevision-system" && s.Name == account ||
			s.Name == "system:serviceaccounts:kubevision-system" ||
			s.Name == "system:serviceaccount:kubevision-system:"+account
	}
	for _, b := range clusterBindings.Items {
		if slices.ContainsFunc(b.Subjects, isOurs) {
			out = append(out, rulesOf(tb, "everywhere", b.RoleRef, "")...)
		}
	}
	for _, b := range bindings.Items {
		if slices.ContainsFunc(b.Subjects, isOurs) {
			out = append(out, rulesOf(tb, "in "+b.Namespace, b.RoleRef, b.Namespace)...)
		}
	}
	slices.Sort(out)
	return out
}

func rulesOf(tb testing.TB, where string, ref rbacv1.RoleRef, namespace string) []string {
	tb.Helper()
	if !strings.HasPrefix(ref.Name, "kubevision") { // Kubernetes may extend its own roles
		return []string{where + ": " + ref.Kind + " " + ref.Name}
	}
	var rules []rbacv1.PolicyRule
	if ref.Kind == "Role" {
		role := &rbacv1.Role{}
		role.Namespace, role.Name = namespace, ref.Name
		rules = read(tb, role).Rules
	} else {
		rules = read(tb, clusterRole(ref.Name)).Rules
	}
	out := make([]string, 0, len(rules))
	for _, r := range rules {
		line := fmt.Sprintf("%s: %s %s/%s", where, strings.Join(r.Verbs, ","), strings.Join(r.APIGroups, ","),
			strings.Join(r.Resources, ","))
		if len(r.ResourceNames) > 0 {
			line += " " + strings.Join(r.ResourceNames, ",")
		}
		if len(r.NonResourceURLs) > 0 {
			line += " " + strings.Join(r.NonResourceURLs, ",")
		}
		out = append(out, line)
	}
	return out
}

// readerRights returns the rights of the account of the read cache, on the host and on members.
func readerRights() []string {
	return []string{
		"everywhere: ClusterRole view",
		"everywhere: get,list,watch /nodes,namespaces,persistentvolumes",
		"everywhere: get,list,watch apiextensions.k8s.io/customresourcedefinitions",
		"everywhere: get,list,watch networking.k8s.io/ingressclasses",
		"everywhere: get,list,watch rbac.authorization.k8s.io/roles,rolebindings,clusterroles,clusterrolebindings",
		"everywhere: get,list,watch scheduling.k8s.io/priorityclasses",
		"everywhere: get,list,watch storage.k8s.io/storageclasses",
	}
}

// TestRightsOfThePrograms verifies that the rights of the programs equal a list, so that a wider right requires a
// change of the list.
func TestRightsOfThePrograms(t *testing.T) {
	guard(t)
	host(t)
	for account, want := range map[string][]string{
		"kubevision-controller-manager": {
			"everywhere: ClusterRole system:auth-delegator",
			"everywhere: bind,escalate rbac.authorization.k8s.io/clusterroles,roles",
			"everywhere: create,patch events.k8s.io/events",
			"everywhere: create,patch kubevision.io/kubevisionpolicyparameters " +
				"kubevision-last-admin,kubevision-object-quota",
			"everywhere: get,list,watch /namespaces",
			"everywhere: get,list,watch,create,patch kubevision.io/kubevisionclusters",
			"everywhere: get,list,watch,create,patch kubevision.io/kubevisionusers,kubevisionrolebindings",
			"everywhere: get,list,watch,create,patch,delete " +
				"rbac.authorization.k8s.io/clusterroles,clusterrolebindings,roles,rolebindings",
			"everywhere: get,list,watch,delete kubevision.io/kubevisionsessions,kubevisionloginthrottles",
			"everywhere: get,patch apiregistration.k8s.io/apiservices v1alpha1.dashboard.kubevision.io",
			"everywhere: list /nodes",
			"everywhere: list,watch apiregistration.k8s.io/apiservices",
			"everywhere: list,watch kubevision.io/kubevisionpolicyparameters",
			"everywhere: patch " +
				"kubevision.io/kubevisionusers/status,kubevisionclusters/status,kubevisionrolebindings/status",
			"everywhere: update kubevision.io/kubevisionusers/finalizers",
			"in kubevision-system: create,patch /events",
			"in kubevision-system: get,create,update /configmaps",
			"in kubevision-system: get,create,update coordination.k8s.io/leases",
			"in kubevision-system: get,list,watch,create,patch,delete /serviceaccounts",
			"in kubevision-system: get,list,watch,create,update /secrets",
			"in kubevision-system: list,watch /configmaps kubevision-last-admin",
		},
		"kubevision-apiserver": {
			"everywhere: ClusterRole system:auth-delegator",
			"everywhere: get,list,watch kubevision.io/kubevisionusers,kubevisionclusters,kubevisionrolebindings",
			"everywhere: get,list,watch,create,update,delete kubevision.io/kubevisionsessions,kubevisionloginthrottles",
			"in kube-system: Role extension-apiserver-authentication-reader",
			"in kubevision-system: create /serviceaccounts/token kubevision-impersonator,kubevision-reader",
			"in kubevision-system: create,patch events.k8s.io/events",
			"in kubevision-system: get,list,watch,create,update /configmaps",
			"in kubevision-system: get,list,watch,update /secrets",
		},
		"kubevision-reader": readerRights(),
	} {
		t.Run(account, func(t *testing.T) {
			if diff := cmp.Diff(want, rights(t, account)); diff != "" {
				t.Errorf("what %s may do (-want +got):\n%s", account, diff)
			}
		})
	}
}

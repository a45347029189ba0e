// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/grants"
)

const system = names.Namespace

// rightsBeyondReadonly returns rights in a namespace that contains ServiceAccounts of KubeVision or Kubernetes. A
// subject with one of these rights could gain more rights than its role grants.
func rightsBeyondReadonly(namespace string) []authorizationv1.ResourceAttributes {
	return []authorizationv1.ResourceAttributes{
		{Verb: "get", Resource: "secrets", Name: names.SigningKeysSecret, Namespace: namespace},
		{Verb: "list", Resource: "secrets", Namespace: namespace},
		{Verb: "patch", Resource: "secrets", Name: names.CredentialsSecret("admin"), Namespace: namespace},
		{Verb: "create", Resource: "pods", Namespace: namespace},
		{Verb: "create", Resource: "pods", Subresource: "exec", Namespace: namespace},
		{Verb: "create", Resource: "pods", Subresource: "portforward", Namespace: namespace},
		{Verb: "get", Resource: "pods", Subresource: "proxy", Namespace: namespace},
		{Verb: "get", Resource: "services", Subresource: "proxy", Namespace: namespace},
		{Verb: "create", Group: "apps", Resource: "deployments", Namespace: namespace},
		{Verb: "patch", Group: "apps", Resource: "deployments", Namespace: namespace},
		{Verb: "create", Group: "batch", Resource: "jobs", Namespace: namespace},
		{Verb: "create", Resource: "serviceaccounts", Subresource: "token", Name: names.Impersonator,
			Namespace: namespace},
		{Verb: "impersonate", Resource: "serviceaccounts", Name: "kubevision-controller-manager", Namespace: namespace},
		{Verb: "create", Group: "rbac.authorization.k8s.io", Resource: "rolebindings", Namespace: namespace},
		{Verb: "patch", Resource: "configmaps", Namespace: namespace},
		{Verb: "delete", Group: "coordination.k8s.io", Resource: "leases", Namespace: namespace},
	}
}

// TestRolesInTheWholeClusterSpareProtectedNamespaces verifies the effect of a KubeVisionRoleBinding that grants the
// role "dev" or "ops" for a whole cluster. In protected namespaces, the user gets only the rights of the role
// "readonly". The test ignores the right of "ops" to evict Pods.
func TestRolesInTheWholeClusterSpareProtectedNamespaces(t *testing.T) {
	guard(t)
	host(t)
	before := newNamespace(t, nil)
	guarded := newNamespace(t, map[string]string{names.ProtectedLabel: "true"})
	work := func(namespace string) []authorizationv1.ResourceAttributes {
		return []authorizationv1.ResourceAttributes{
			{Verb: "create", Resource: "pods", Namespace: namespace},
			{Verb: "get", Resource: "secrets", Namespace: namespace},
			{Verb: "create", Resource: "pods", Subresource: "exec", Namespace: namespace},
			{Verb: "patch", Group: "apps", Resource: "deployments", Namespace: namespace},
		}
	}
	for _, role := range []string{kubevisionv1alpha1.RoleDev, kubevisionv1alpha1.RoleOps} {
		t.Run(role, func(t *testing.T) {
			u := newUser(t, "")
			as := "kubevision:" + u.Name
			b := newBinding(t, role, nil, grants.ToUser(u.Name))
			awaitReady(t, b)
			check := func(what string, questions []authorizationv1.ResourceAttributes, want bool) {
				t.Helper()
				for _, q := range questions {
					eventually(t, soon, fmt.Sprintf("%s: %+v", what, q), may(as, q, want))
				}
			}
			for _, n := range []string{before, guarded, system, "kube-system"} {
				check("view", []authorizationv1.ResourceAttributes{
					{Verb: "list", Resource: "pods", Namespace: n}, {Verb: "get", Resource: "configmaps", Namespace: n},
				}, true)
			}
			check("view", []authorizationv1.ResourceAttributes{{Verb: "list", Resource: "nodes"},
				{Verb: "list", Resource: "pods"}}, true)
			check("work", work(before), true)
			for _, n := range []string{guarded, system, "kube-system", "kube-public", "kube-node-lease", ""} {
				check("beyond view in "+n, rightsBeyondReadonly(n), false)
			}
			after := newNamespace(t, nil)
			check("work in a new namespace", work(after), true)
			relabel(t, after, map[string]string{names.ProtectedLabel: "yes"})
			check("work in a namespace that became protected", work(after), false)
			relabel(t, after, map[string]string{names.ProtectedLabel: "false"})
			check("work in a namespace that is protected no more", work(after), true)
			awaitReady(t, b)
			if c := b.Status.Clusters[0]; c.NamespaceCount == nil || *c.NamespaceCount < 2 || len(c.Namespaces) > 0 ||
				c.ClusterRole != "kubevision:"+role+"-cluster" {
				t.Errorf("the status of the cluster is %+v", c)
			}
			remove(t, b)
			check("work without the binding", work(before), false)
		})
	}
}

// TestOpsDrainNodes verifies that a user with the role "ops" can evict Pods in protected namespaces by a drain.
func TestOpsDrainNodes(t *testing.T) {
	guard(t)
	host(t)
	u, other := newUser(t, ""), newUser(t, "")
	awaitReady(t, newBinding(t, kubevisionv1alpha1.RoleOps, nil, grants.ToUser(u.Name)))
	awaitReady(t, newBinding(t, kubevisionv1alpha1.RoleDev, nil, grants.ToUser(other.Name)))
	for _, q := range []authorizationv1.ResourceAttributes{
		{Verb: "patch", Resource: "nodes"}, {Verb: "list", Resource: "pods"},
		{Verb: "list", Group: "apps", Resource: "daemonsets"},
		{Verb: "create", Resource: "pods", Subresource: "eviction", Namespace: "kube-system"},
	} {
		eventually(t, soon, fmt.Sprintf("ops: %+v", q), may("kubevision:"+u.Name, q, true))
	}
	for _, q := range []authorizationv1.ResourceAttributes{
		{Verb: "patch", Resource: "nodes"},
		{Verb: "create", Resource: "pods", Subresource: "eviction", Namespace: "kube-system"},
	} {
		if err := may("kubevision:"+other.Name, q, false)(t.Context()); err != nil {
			t.Errorf("dev: %+v: %v", q, err)
		}
	}
}

// TestBindingThatNamesProtectedNamespaces verifies that the role "dev" grants only the rights of the role "readonly" in
// a protected namespace, even if a role binding selects the namespace. The status of the binding must report the
// protected namespace.
func TestBindingThatNamesProtectedNamespaces(t *testing.T) {
	guard(t)
	host(t)
	label := map[string]string{unique("team"): "web"}
	ordinary := newNamespace(t, label)
	u := newUser(t, "")
	for name, targets := range map[string]*kubevisionv1alpha1.NamespaceTargets{
		"names":    grants.Named(ordinary, system),
		"selector": {Selector: &metav1.LabelSelector{}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBinding(t, kubevisionv1alpha1.RoleDev, targets, grants.ToUser(u.Name))
			awaitReady(t, b)
			eventually(t, soon, "wait for the RoleBindings", func(ctx context.Context) error {
				got, err := grants.List(ctx, env.Client, b)
				if err != nil {
					return err
				}
				for n, role := range map[string]string{ordinary: dev, system: readonly} {
					if key := "RoleBinding " + n + "/kubevision:binding:" + b.Name; got[key] != role+" to "+
						user(u.Name) {
						return fmt.Errorf("%s is %q", key, got[key])
					}
				}
				return nil
			})
			c := read(t, b).Status.Clusters[0]
			if c.Status != metav1.ConditionTrue || c.Reason != kubevisionv1alpha1.ReasonNamespaceProtected ||
				!strings.Contains(c.Message, system) {
				t.Errorf("the status of the cluster is %+v", c)
			}
			for _, q := range rightsBeyondReadonly(system) {
				if err := may("kubevision:"+u.Name, q, false)(t.Context()); err != nil {
					t.Errorf("%+v: %v", q, err)
				}
			}
			remove(t, b)
		})
	}
}

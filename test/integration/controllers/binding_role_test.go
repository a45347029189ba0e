// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/grants"
)

func clusterRole(name string) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// may returns a check that the cluster allows a request, or denies it if want is false.
func may(user string, attributes authorizationv1.ResourceAttributes, want bool) func(context.Context) error {
	return func(ctx context.Context) error {
		question := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user,
			ResourceAttributes: &attributes}}
		if err := env.Client.Create(ctx, question); err != nil {
			return err
		}
		if question.Status.Allowed != want {
			return errors.New(user + " has another response: " + question.Status.Reason)
		}
		return nil
	}
}

func TestBuiltInRolesHaveTheClustersOwnRules(t *testing.T) {
	guard(t)
	host(t)
	u := newUser(t, "")
	n, other := newNamespace(t, nil), newNamespace(t, nil)
	as := "kubevision:" + u.Name
	for role, tc := range map[string]struct {
		may, mayNot []authorizationv1.ResourceAttributes
	}{
		kubevisionv1alpha1.RoleReadonly: {
			may: []authorizationv1.ResourceAttributes{
				{Verb: "list", Resource: "pods", Namespace: n},
				{Verb: "get", Group: "apps", Resource: "deployments", Namespace: n},
			},
			mayNot: []authorizationv1.ResourceAttributes{
				{Verb: "get", Resource: "secrets", Namespace: n}, {Verb: "delete", Resource: "pods", Namespace: n},
				{Verb: "list", Resource: "pods", Namespace: other},
				{Verb: "list", Resource: "nodes"},
			},
		},
		kubevisionv1alpha1.RoleDev: {
			may: []authorizationv1.ResourceAttributes{
				{Verb: "delete", Resource: "pods", Namespace: n},
				{Verb: "create", Group: "apps", Resource: "deployments", Namespace: n},
				{Verb: "create", Resource: "pods", Subresource: "exec", Namespace: n},
			},
			mayNot: []authorizationv1.ResourceAttributes{
				{Verb: "create", Group: "rbac.authorization.k8s.io", Resource: "rolebindings", Namespace: n},
				{Verb: "delete", Resource: "pods", Namespace: other},
			},
		},
		kubevisionv1alpha1.RoleOps: {
			may: []authorizationv1.ResourceAttributes{{Verb: "create", Group: "rbac.authorization.k8s.io",
				Resource: "rolebindings", Namespace: n}},
			mayNot: []authorizationv1.ResourceAttributes{
				{Verb: "escalate", Group: "rbac.authorization.k8s.io", Resource: "roles", Namespace: n},
				{Verb: "patch", Resource: "nodes"},
			},
		},
		kubevisionv1alpha1.RoleAdmin: {
			may: []authorizationv1.ResourceAttributes{{Verb: "escalate", Group: "rbac.authorization.k8s.io",
				Resource: "roles", Namespace: n}},
			mayNot: []authorizationv1.ResourceAttributes{{Verb: "get", Resource: "pods", Namespace: other},
				{Verb: "get", Resource: "nodes"}},
		},
	} {
		t.Run(role, func(t *testing.T) {
			b := newBinding(t, role, grants.Named(n), grants.ToUser(u.Name))
			awaitReady(t, b)
			for _, a := range tc.may {
				eventually(t, soon, "review access", may(as, a, true))
			}
			for _, a := range tc.mayNot {
				if err := may(as, a, false)(t.Context()); err != nil {
					t.Errorf("%+v: %v", a, err)
				}
			}
			remove(t, b)
			for _, a := range tc.may {
				eventually(t, soon, "review access", may(as, a, false))
			}
		})
	}
}

func TestDevHasEveryRuleOfEdit(t *testing.T) {
	guard(t)
	host(t)
	eventually(t, soon, "compare the roles", func(ctx context.Context) error {
		edit, ours := clusterRole("edit"), clusterRole(dev)
		if err := errors.Join(env.Client.Get(ctx, client.ObjectKeyFromObject(edit), edit),
			env.Client.Get(ctx, client.ObjectKeyFromObject(ours), ours)); err != nil {
			return err
		}
		for _, rule := range edit.Rules {
			if !slices.ContainsFunc(ours.Rules, func(r rbacv1.PolicyRule) bool { return cmp.Equal(r, rule) }) {
				return errors.New("a rule of edit is missing: " + rule.String())
			}
		}
		return nil
	})
}

func TestReadonlyHasNoSecrets(t *testing.T) {
	guard(t)
	host(t)
	eventually(t, soon, "wait for the rules", func(ctx context.Context) error {
		role := clusterRole("kubevision:readonly")
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(role), role); err != nil {
			return err
		}
		if len(role.Rules) < 5 {
			return errors.New("the rules do not exist yet")
		}
		for _, rule := range role.Rules {
			if slices.Contains(rule.Resources, "secrets") || slices.Contains(rule.Resources, "*") ||
				slices.ContainsFunc(rule.Verbs,
					func(v string) bool { return v != "get" && v != "list" && v != "watch" }) {
				t.Errorf("readonly has the rule %+v", rule)
			}
		}
		return nil
	})
}

func TestLabelAddsRulesToABuiltInRole(t *testing.T) {
	guard(t)
	host(t)
	u := newUser(t, "")
	awaitReady(t, newBinding(t, kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name)))
	widgets := authorizationv1.ResourceAttributes{Verb: "list", Group: "example.com", Resource: unique("widgets")}
	extra := clusterRole(unique("extra"))
	extra.Labels = map[string]string{"kubevision.io/aggregate-to-readonly": "true"}
	extra.Rules = []rbacv1.PolicyRule{{APIGroups: []string{widgets.Group}, Resources: []string{widgets.Resource},
		Verbs: []string{"list"}}}
	create(t, extra)
	eventually(t, soon, "review access", may("kubevision:"+u.Name, widgets, true))
	remove(t, extra)
	eventually(t, soon, "review access", may("kubevision:"+u.Name, widgets, false))
}

func TestCustomClusterRole(t *testing.T) {
	guard(t)
	host(t)
	u := newUser(t, "")
	role := clusterRole(unique("custom"))
	role.Rules = []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"},
		Verbs: []string{"list"}}}
	create(t, role)
	b := newBinding(t, role.Name, nil, grants.ToUser(u.Name))
	awaitReady(t, b)
	awaitMade(t, b, inWholeCluster(b, role.Name, user(u.Name)), using(b, hostName, user(u.Name)))
	eventually(t, soon, "review access",
		may("kubevision:"+u.Name, authorizationv1.ResourceAttributes{Verb: "list", Resource: "configmaps"}, true))
}

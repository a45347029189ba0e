// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/grants"
)

// impersonatedNames returns the users and groups that KubeVision must be able to impersonate for the existing
// KubeVisionRoleBindings. It does not use KubeVision's code.
func impersonatedNames(ctx context.Context) (users, groups []string, err error) {
	var bindings kubevisionv1alpha1.KubeVisionRoleBindingList
	var people kubevisionv1alpha1.KubeVisionUserList
	if err := env.Client.List(ctx, &bindings); err != nil {
		return nil, nil, err
	}
	if err := env.Client.List(ctx, &people); err != nil {
		return nil, nil, err
	}
	userNames, groupNames := sets.New[string](), sets.New[string]()
	for _, b := range bindings.Items {
		for _, s := range b.Spec.Subjects {
			switch s.Kind {
			case kubevisionv1alpha1.SubjectUser:
				userNames.Insert(s.Name)
			case kubevisionv1alpha1.SubjectGroup:
				groupNames.Insert(s.Name)
				userNames.Insert("kubevision::group-member")
			case kubevisionv1alpha1.SubjectKubeVisionGroup:
				groupNames.Insert("kubevision:group:" + s.Name)
			case kubevisionv1alpha1.SubjectKubeVisionUser, kubevisionv1alpha1.SubjectServiceAccount:
			}
			for _, p := range people.Items {
				if s.Kind == kubevisionv1alpha1.SubjectKubeVisionUser && s.Name == p.Name ||
					s.Kind == kubevisionv1alpha1.SubjectKubeVisionGroup && slices.Contains(p.Spec.Groups, s.Name) {
					userNames.Insert("kubevision:" + p.Name)
					groupNames.Insert("kubevision:users") // groups with which these users are impersonated
					for _, g := range p.Spec.Groups {
						groupNames.Insert("kubevision:group:" + g)
					}
				}
			}
		}
	}
	return sets.List(userNames), sets.List(groupNames), nil
}

func impersonate(resource string, resourceNames ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{resource}, ResourceNames: resourceNames,
		Verbs: []string{"impersonate"}}
}

func impersonatesExactlyTheNamed(ctx context.Context) error {
	users, groups, err := impersonatedNames(ctx)
	if err != nil {
		return err
	}
	var want []rbacv1.PolicyRule
	if len(users) > 0 {
		want = append(want, impersonate("users", users...))
	}
	if len(groups) > 0 {
		want = append(want, impersonate("groups", groups...))
	}
	role := clusterRole(names.Impersonator)
	if err := env.Client.Get(ctx, client.ObjectKeyFromObject(role), role); err != nil {
		return err
	}
	if diff := cmp.Diff(want, role.Rules); diff != "" {
		return fmt.Errorf("(-want +got):\n%s", diff)
	}
	for _, rule := range role.Rules {
		if len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, "*") ||
			slices.Contains(rule.ResourceNames, "system:masters") {
			return fmt.Errorf("the role has the rule %+v", rule)
		}
	}
	return nil
}

func awaitImpersonator(tb testing.TB) {
	tb.Helper()
	eventually(tb, soon, "wait for the impersonator's role", impersonatesExactlyTheNamed)
}

func TestImpersonatorNamesExactlyTheBound(t *testing.T) {
	guard(t)
	host(t)
	team := unique("team")
	one, two, outsider := userObject(""), userObject(""), userObject("")
	one.Spec.Groups, two.Spec.Groups = []string{team}, []string{"elsewhere"}
	create(t, one)
	create(t, two)
	create(t, outsider)
	awaitImpersonator(t)
	b := newBinding(t, kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(two.Name), grants.ToGroup(team),
		kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectUser, Name: unique("jane") + "@example.com"},
		kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectGroup, Name: unique("oidc:team")})
	awaitReady(t, b)
	awaitImpersonator(t)

	for what, step := range map[string]func(){
		"joins the group": func() {
			change(t, outsider, func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.Groups = []string{team} })
		},
		"leaves the group": func() {
			change(t, one, func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.Groups = nil })
		},
		"is deleted": func() { remove(t, two) },
		"is unbound": func() {
			change(t, b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) { b.Spec.Subjects = b.Spec.Subjects[1:2] })
		},
	} {
		step()
		if err := poll(t.Context(), soon, "wait for the impersonator's role", impersonatesExactlyTheNamed); err != nil {
			t.Errorf("after %s by another user: %v", what, err)
		}
	}
	remove(t, b)
	awaitImpersonator(t)
}

func TestImpersonatorIsNeverAdministrator(t *testing.T) {
	guard(t)
	host(t)
	awaitImpersonator(t)
	as := "system:serviceaccount:" + names.Namespace + ":" + names.Impersonator
	for _, target := range [][2]string{
		{"groups", "system:masters"}, {"users", "system:admin"}, {"users", "kubernetes-admin"},
		{"users", "kubevision:nobody"},
		{"serviceaccounts", "kubevision-controller-manager"}, {"uids", "1"}, {"userextras", "scopes"},
	} {
		if err := may(as, impersonateAttributes(target[0], target[1]), false)(t.Context()); err != nil {
			t.Errorf("%v: %v", target, err)
		}
	}
}

func TestServiceAccountsAreImpersonatedInTheirNamespaceOnly(t *testing.T) {
	guard(t)
	host(t)
	one, two := newNamespace(t, nil), newNamespace(t, nil)
	account := func(namespace, name string) kubevisionv1alpha1.Subject {
		return kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectServiceAccount, Namespace: namespace,
			Name: name}
	}
	b := newBinding(t, kubevisionv1alpha1.RoleReadonly, nil, account(one, "b"), account(one, "a"), account(two, "c"))
	awaitReady(t, b)
	for namespace, want := range map[string][]string{one: {"a", "b"}, two: {"c"}} {
		role := read(t, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: names.Impersonator}})
		if diff := cmp.Diff([]rbacv1.PolicyRule{impersonate("serviceaccounts", want...)}, role.Rules); diff != "" {
			t.Errorf("the role in %s (-want +got):\n%s", namespace, diff)
		}
		binding := read(t, &rbacv1.RoleBinding{ObjectMeta: role.ObjectMeta})
		if got := grantOf(binding); got != "Role kubevision-impersonator to ServiceAccount "+
			"kubevision-system/kubevision-impersonator" {
			t.Errorf("the binding in %s refers to %s", namespace, got)
		}
	}
	change(t, b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) { b.Spec.Subjects = b.Spec.Subjects[:1] })
	eventuallyAbsent(t, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: two, Name: names.Impersonator}})
	eventuallyAbsent(t, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: two, Name: names.Impersonator}})
	remove(t, b)
	eventuallyAbsent(t, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: one, Name: names.Impersonator}})
	eventuallyAbsent(t, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: one, Name: names.Impersonator}})
}

func TestNamespaceOfAServiceAccountThatAppearsLater(t *testing.T) {
	guard(t)
	c := host(t)
	n := &metav1.ObjectMeta{Name: unique("ns")}
	b := newBinding(t, kubevisionv1alpha1.RoleReadonly, nil,
		kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectServiceAccount, Namespace: n.Name, Name: "robot"})
	awaitReady(t, b)
	awaitReady(t, c)
	create(t, namespaceObject(n.Name))
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: n.Name, Name: names.Impersonator}}
	eventually(t, soon, "wait for the role", func(ctx context.Context) error {
		return exists(role, env.Client.Get(ctx, client.ObjectKeyFromObject(role), role))
	})
}

// TestImpersonatorForNobodyHasNoRules verifies that the ClusterRole kubevision-impersonator has no rules while there
// are no KubeVisionRoleBindings. KubeVision removes rules that an administrator adds by hand.
func TestImpersonatorForNobodyHasNoRules(t *testing.T) {
	guard(t)
	host(t)
	withoutBindings(t)
	awaitImpersonator(t)
	role := read(t, clusterRole(names.Impersonator))
	before := role.DeepCopy()
	role.Rules = []rbacv1.PolicyRule{impersonate("users", "kubernetes-admin")}
	if err := env.Client.Patch(t.Context(), role, client.MergeFrom(before), client.FieldOwner("by-hand")); err != nil {
		t.Fatal(err)
	}
	eventually(t, repairTime, "wait for the impersonator's role", impersonatesExactlyTheNamed)
}

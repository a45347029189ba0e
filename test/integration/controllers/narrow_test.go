// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/grants"
)

// newAdmissionPolicy creates a ValidatingAdmissionPolicy and a binding of the policy. kube-apiserver then rejects
// operations on objects that match matchCondition if validation is false. At the end of the test, newAdmissionPolicy
// deletes both objects.
func newAdmissionPolicy(
	tb testing.TB, group, resource, matchCondition, validation string,
	operations ...admissionregistrationv1.OperationType,
) {
	tb.Helper()
	name := unique("refuse")
	create(tb, &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
					RuleWithOperations: admissionregistrationv1.RuleWithOperations{Operations: operations,
						Rule: admissionregistrationv1.Rule{
							APIGroups: []string{group}, APIVersions: []string{"*"},
							Resources: []string{resource},
						}},
				}}},
			MatchConditions: []admissionregistrationv1.MatchCondition{{Name: "ours", Expression: matchCondition}},
			Validations: []admissionregistrationv1.Validation{{Expression: validation,
				Message: "refused by the test"}},
		},
	})
	create(tb, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName:        name,
			ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	})
}

// TestNothingIsTakenAwayLaterThanItIsGiven verifies that KubeVision can revoke rights even while it cannot grant any.
// In the test, an admission policy rejects new resourceNames in KubeVision's ClusterRoles for impersonation.
func TestNothingIsTakenAwayLaterThanItIsGiven(t *testing.T) {
	guard(t)
	host(t)
	one, two, boss := newUser(t, ""), newUser(t, ""), newUser(t, "")
	n := newNamespace(t, nil)
	both := newBinding(t, kubevisionv1alpha1.RoleAdmin, nil, grants.ToUser(one.Name), grants.ToUser(two.Name))
	role := newBinding(t, kubevisionv1alpha1.RoleAdmin, nil, grants.ToUser(boss.Name))
	inOne := newBinding(t, kubevisionv1alpha1.RoleDev, grants.Named(n), grants.ToUser(one.Name),
		grants.ToUser(two.Name))
	for _, b := range []*kubevisionv1alpha1.KubeVisionRoleBinding{both, role, inOne} {
		awaitReady(t, b)
	}
	// The policy rejects each addition of a name, even if another name is removed.
	newAdmissionPolicy(t, rbacv1.GroupName, "clusterroles",
		`object.metadata.name.startsWith("`+names.Impersonator+`")`,
		`oldObject != null && object.rules.all(r, r.resourceNames.all(n,
			oldObject.rules.exists(o, n in o.resourceNames)))`,
		admissionregistrationv1.Create, admissionregistrationv1.Update)
	eventually(t, soon, "wait for the policy", func(ctx context.Context) error {
		r := clusterRole(names.Impersonator)
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(r), r); err != nil {
			return err
		}
		r.Rules = append(r.Rules, impersonate("users", "x", "y"))
		if env.Client.Update(ctx, r, client.DryRunAll) == nil {
			return errors.New("the role can grow")
		}
		return nil
	})
	newcomer := newUser(t, "")
	refused := newBinding(t, kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(newcomer.Name))
	awaitNotReady(t, refused, kubevisionv1alpha1.ReasonApplyFailed)

	// Each of these changes grants rights to the new user, which the policy rejects, and revokes rights of another
	// user.
	change(t, both, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
		b.Spec.Subjects = []kubevisionv1alpha1.Subject{grants.ToUser(one.Name), grants.ToUser(newcomer.Name)}
	})
	change(t, inOne, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
		b.Spec.Subjects = []kubevisionv1alpha1.Subject{grants.ToUser(one.Name), grants.ToUser(newcomer.Name)}
	})
	change(t, role, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
		b.Spec.RoleRef.Name = kubevisionv1alpha1.RoleReadonly
		b.Spec.Subjects = append(b.Spec.Subjects, grants.ToUser(newcomer.Name))
	})
	deletes := authorizationv1.ResourceAttributes{Verb: "delete", Resource: "secrets", Namespace: n}
	uses := authorizationv1.ResourceAttributes{Verb: "use", Group: "kubevision.io", Resource: "kubevisionclusters",
		Name: hostName}
	eventually(t, soon, "a removed subject has lost the role", may("kubevision:"+two.Name, deletes, false))
	eventually(t, soon, "a removed subject has lost the use", may("kubevision:"+two.Name, uses, false))
	eventually(t, soon, "a user who was made readonly cannot delete", may("kubevision:"+boss.Name, deletes, false))
	if err := may("kubevision:"+one.Name, deletes, true)(t.Context()); err != nil {
		t.Errorf("a subject that has kept the role: %v", err)
	}
	account := "system:serviceaccount:" + names.Namespace + ":" + names.Impersonator
	eventually(t, soon, "the account cannot impersonate a removed subject",
		may(account, impersonateAttributes("users", "kubevision:"+two.Name), false))
}

// TestRevocationThatFails verifies that KubeVision emits an event and updates metrics if it cannot revoke the rights of
// a removed subject.
func TestRevocationThatFails(t *testing.T) {
	const (
		failures = "kubevision_rolebinding_revocation_failures_total"
		pending  = "kubevision_rolebinding_pending_revocations"
	)
	guard(t)
	host(t)
	metrics := newMetrics(t)
	eventually(t, soon, "no revocation is pending", metrics.is(pending, 0))
	before, err := metrics.read(t.Context(), failures)
	if err != nil {
		t.Fatal(err)
	}
	one, two := newUser(t, ""), newUser(t, "")
	b := newBinding(t, kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(one.Name), grants.ToUser(two.Name))
	awaitReady(t, b)
	name := "kubevision:binding:" + b.Name
	newAdmissionPolicy(t, rbacv1.GroupName, "clusterrolebindings",
		`object != null && object.metadata.name == "`+name+`"`, "false", admissionregistrationv1.Update)
	eventually(t, soon, "wait for the policy", func(ctx context.Context) error {
		o := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		o.Annotations = map[string]string{"x": "y"}
		if env.Client.Update(ctx, o, client.DryRunAll) == nil {
			return errors.New("it can be written")
		}
		return nil
	})
	change(t, b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) { b.Spec.Subjects = b.Spec.Subjects[:1] })
	awaitNotReady(t, b, kubevisionv1alpha1.ReasonRevocationFailed)
	// Rights that do not depend on the failed revocation are revoked.
	uses := authorizationv1.ResourceAttributes{Verb: "use", Group: "kubevision.io", Resource: "kubevisionclusters",
		Name: hostName}
	eventually(t, soon, "the use is gone", may("kubevision:"+two.Name, uses, false))
	awaitEvent(t, b.Name, "Warning", kubevisionv1alpha1.ReasonRevocationFailed, "Revoke")
	if err := metrics.is(pending, 1)(t.Context()); err != nil {
		t.Error(err)
	}
	if after, err := metrics.read(t.Context(), failures); err != nil || after <= before {
		t.Errorf("%s was %g and is %g (%v)", failures, before, after, err)
	}
	change(t, b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
		b.Spec.Subjects = append(b.Spec.Subjects, grants.ToUser(two.Name))
	})
	eventually(t, soon, "no revocation is pending any more", metrics.is(pending, 0))
}

// TestMoreNamesThanOneRoleHolds verifies that KubeVision creates several ClusterRoles if the names of the users whom it
// may impersonate do not fit into one. Otherwise, a user who may bind only the role "readonly" could make the
// ClusterRole too large for etcd. KubeVision could then no longer revoke rights of other users.
func TestMoreNamesThanOneRoleHolds(t *testing.T) {
	guard(t)
	host(t)
	one, two := newUser(t, ""), newUser(t, "")
	b := newBinding(t, kubevisionv1alpha1.RoleAdmin, nil, grants.ToUser(one.Name), grants.ToUser(two.Name))
	awaitReady(t, b)
	const bindings = 26
	many := make([]*kubevisionv1alpha1.KubeVisionRoleBinding, bindings)
	for i := range many {
		var subjects []kubevisionv1alpha1.Subject
		for s := range 256 {
			name := fmt.Sprintf("%d-%d-", i, s)
			subjects = append(subjects, kubevisionv1alpha1.Subject{
				Kind: kubevisionv1alpha1.SubjectUser, Name: name + strings.Repeat("x", 253-len(name)),
			})
		}
		many[i] = newBinding(t, kubevisionv1alpha1.RoleReadonly, nil, subjects...)
	}
	for _, m := range many {
		eventually(t, 3*time.Minute, "wait for binding "+m.Name, func(ctx context.Context) error {
			if err := env.Client.Get(ctx, client.ObjectKeyFromObject(m), m); err != nil {
				return err
			}
			if !meta.IsStatusConditionTrue(m.Status.Conditions, kubevisionv1alpha1.ReadyCondition) {
				return fmt.Errorf("it is not ready: %.300v", m.Status.Conditions)
			}
			return nil
		})
	}
	awaitReady(t, host(t))
	var roles rbacv1.ClusterRoleList
	if err := env.Client.List(t.Context(), &roles,
		client.MatchingLabels{names.ComponentLabel: "impersonator"}); err != nil {
		t.Fatal(err)
	}
	if len(roles.Items) < 4 {
		t.Errorf("the names are in %d roles", len(roles.Items))
	}
	account := "system:serviceaccount:" + names.Namespace + ":" + names.Impersonator
	for _, name := range []string{many[0].Spec.Subjects[0].Name, many[bindings-1].Spec.Subjects[255].Name,
		"kubevision:" + two.Name} {
		if err := may(account, impersonateAttributes("users", name), true)(t.Context()); err != nil {
			t.Errorf("%.20s: %v", name, err)
		}
	}
	change(t, b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) { b.Spec.Subjects = b.Spec.Subjects[:1] })
	deletes := authorizationv1.ResourceAttributes{Verb: "delete", Resource: "secrets"}
	eventually(t, soon, "a removed subject has lost the role", may("kubevision:"+two.Name, deletes, false))
	eventually(t, soon, "the account cannot impersonate them",
		may(account, impersonateAttributes("users", "kubevision:"+two.Name), false))
	change(t, b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
		b.Spec.RoleRef.Name = kubevisionv1alpha1.RoleReadonly
	})
	eventually(t, soon, "a user who was made readonly cannot delete", may("kubevision:"+one.Name, deletes, false))
	for _, m := range many {
		remove(t, m)
	}
	eventually(t, time.Minute, "the names are in one role again", func(ctx context.Context) error {
		if err := env.Client.List(ctx, &roles,
			client.MatchingLabels{names.ComponentLabel: "impersonator"}); err != nil {
			return err
		}
		if len(roles.Items) != 1 {
			return fmt.Errorf("they are in %d", len(roles.Items))
		}
		return nil
	})
}

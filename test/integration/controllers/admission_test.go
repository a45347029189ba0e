// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/grants"
)

// delegate returns a client of a new user with only the given rights.
func delegate(tb testing.TB, rules ...rbacv1.PolicyRule) client.Client {
	tb.Helper()
	name := unique("delegate")
	create(tb, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules})
	create(tb, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	})
	config, err := env.Cluster.UserConfig(name)
	if err != nil {
		tb.Fatal(err)
	}
	made, err := client.New(config, client.Options{Scheme: env.Client.Scheme()})
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

func everything(group string, resources ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: []string{"*"}}
}

func mayBind(roles ...string) rbacv1.PolicyRule {
	rule := everything(rbacv1.GroupName, "clusterroles")
	rule.ResourceNames, rule.Verbs = roles, []string{"bind"}
	return rule
}

// TestNobodyGrantsMoreThanTheyMay verifies that a user who may write KubeVisionRoleBindings can grant only roles
// that the user may bind.
func TestNobodyGrantsMoreThanTheyMay(t *testing.T) {
	guard(t)
	host(t)
	u := newUser(t, "")
	write := everything(kubevisionv1alpha1.GroupName, kubevisionv1alpha1.ResourceRoleBindings)
	as := delegate(t, write, mayBind("kubevision:dev", "custom-role"))
	binding := func(kind kubevisionv1alpha1.RoleKind, role string) *kubevisionv1alpha1.KubeVisionRoleBinding {
		b := hostBinding(role, nil, grants.ToUser(u.Name))
		b.Spec.RoleRef.Kind = kind
		return b
	}
	may := binding(kubevisionv1alpha1.RoleKubeVision, kubevisionv1alpha1.RoleDev)
	eventually(t, soon, "make a binding to a role that may be bound",
		func(ctx context.Context) error { return as.Create(ctx, may) })
	defer remove(t, may)
	for name, b := range map[string]*kubevisionv1alpha1.KubeVisionRoleBinding{
		"a built-in role":              binding(kubevisionv1alpha1.RoleKubeVision, kubevisionv1alpha1.RoleAdmin),
		"the ClusterRole of one":       binding(kubevisionv1alpha1.RoleClusterRole, "kubevision:admin"),
		"a ClusterRole":                binding(kubevisionv1alpha1.RoleClusterRole, "cluster-admin"),
		"a ClusterRole with that name": binding(kubevisionv1alpha1.RoleClusterRole, "dev"),
		"roles that do not exist":      binding(kubevisionv1alpha1.RoleClusterRole, "no-such-role"),
	} {
		err := as.Create(t.Context(), b)
		if !apierrors.IsForbidden(err) || !strings.Contains(fmt.Sprint(err), "bind") {
			t.Errorf("%s: got %v, want an error about the missing verb bind", name, err)
		}
	}
	custom := binding(kubevisionv1alpha1.RoleClusterRole, "custom-role")
	if err := as.Create(t.Context(), custom); err != nil {
		t.Errorf("a custom role that may be bound: %v", err)
	}
	defer remove(t, custom)

	read(t, may)
	raised := may.DeepCopy()
	raised.Spec.RoleRef.Name = kubevisionv1alpha1.RoleAdmin
	if err := as.Patch(t.Context(), raised, client.MergeFrom(may)); !apierrors.IsForbidden(err) {
		t.Errorf("a binding was raised to admin: %v", err)
	}
	labelled := may.DeepCopy()
	labelled.Labels = map[string]string{"team": "web"}
	if err := as.Patch(t.Context(), labelled, client.MergeFrom(may)); err != nil {
		t.Errorf("a label grants nothing: %v", err)
	}

	// A new subject of a binding gets the role of the binding.
	others := newBinding(t, kubevisionv1alpha1.RoleAdmin, nil, grants.ToUser(u.Name))
	read(t, others)
	widened := others.DeepCopy()
	widened.Spec.Subjects = append(widened.Spec.Subjects, grants.ToUser("somebody-else"))
	if err := as.Patch(t.Context(), widened, client.MergeFrom(others)); !apierrors.IsForbidden(err) {
		t.Errorf("a subject was added to a binding of admin: %v", err)
	}
}

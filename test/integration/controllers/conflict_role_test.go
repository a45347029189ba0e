// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/grants"
)

func allSecrets() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"*"}}}
}

func listSecrets(namespace string) authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{Verb: "list", Resource: "secrets", Namespace: namespace}
}

// takeOver changes a ClusterRole of KubeVision into the role of another owner, and returns this role. One update
// removes KubeVision's label and field manager, and replaces the rules. At the end of the test, takeOver deletes the
// role, so that KubeVision can create it again.
func takeOver(tb testing.TB, name string) *rbacv1.ClusterRole {
	tb.Helper()
	role := clusterRole(name)
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if err := env.Client.Get(tb.Context(), client.ObjectKeyFromObject(role), role); err != nil {
			return err
		}
		role.Labels, role.AggregationRule, role.Rules = nil, nil, allSecrets()
		role.ManagedFields = []metav1.ManagedFieldsEntry{{}} // the update removes all field managers
		return env.Client.Update(tb.Context(), role, client.FieldOwner("somebody"))
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		remove(tb, role)
		ctx, cancel := later(tb)
		defer cancel()
		c := hostObject(hostName) // the change triggers a probe of the host
		before := c.DeepCopy()
		c.Annotations = map[string]string{"test": unique("again")}
		if err := env.Client.Patch(ctx, c, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
			tb.Error(err)
		}
	})
	return role
}

func noBinding(name, namespace string) func(context.Context) error {
	return func(ctx context.Context) error {
		var o client.Object = &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if namespace != "" {
			o = &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		}
		if err := absent(ctx, o); err != nil {
			return fmt.Errorf("%T: %w", o, err)
		}
		return nil
	}
}

// TestForeignRoleForUseIsNotBound verifies that KubeVision does not bind a ClusterRole that another client has created
// or taken over. The name of the ClusterRole begins with "kubevision:use:". KubeVision uses this prefix for the
// ClusterRoles that permit the use of clusters.
func TestForeignRoleForUseIsNotBound(t *testing.T) {
	guard(t)
	host(t)
	t.Run("there before", func(t *testing.T) {
		u := newUser(t, "")
		b := hostBinding(kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name))
		foreign := clusterRole("kubevision:use:" + b.Name)
		foreign.Rules = allSecrets()
		create(t, foreign)
		create(t, b)
		awaitNotReady(t, b, kubevisionv1alpha1.ReasonNameConflict)
		holds(t, settling, "no binding of the role", noBinding(foreign.Name, ""))
		holds(t, settling, "no rights of the role", may("kubevision:"+u.Name, listSecrets(""), false))
	})
	t.Run("taken over later", func(t *testing.T) {
		u := newUser(t, "")
		b := newBinding(t, kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name))
		awaitReady(t, b)
		takeOver(t, "kubevision:use:"+b.Name)
		eventually(t, soon, "the binding of the role goes", noBinding("kubevision:use:"+b.Name, ""))
		awaitNotReady(t, b, kubevisionv1alpha1.ReasonNameConflict)
		eventually(t, soon, "the rights of the role go", may("kubevision:"+u.Name, listSecrets(""), false))
	})
}

// TestForeignBuiltInRoleIsNotBound verifies that KubeVision does not bind a ClusterRole of another owner. The
// ClusterRole has the name of a built-in role. The test covers ClusterRoleBindings and RoleBindings.
func TestForeignBuiltInRoleIsNotBound(t *testing.T) {
	guard(t)
	host(t)
	n := newNamespace(t, nil)
	u, v := newUser(t, ""), newUser(t, "")
	earlier := newBinding(t, kubevisionv1alpha1.RoleDev, nil, grants.ToUser(u.Name))
	inOne := newBinding(t, kubevisionv1alpha1.RoleDev, grants.Named(n), grants.ToUser(u.Name))
	awaitReady(t, earlier)
	awaitReady(t, inOne)
	foreign := []*rbacv1.ClusterRole{takeOver(t, "kubevision:dev-cluster"), takeOver(t, dev)}
	eventually(t, soon, "the ClusterRoleBinding goes", noBinding("kubevision:binding:"+earlier.Name, ""))
	eventually(t, soon, "the RoleBinding goes", noBinding("kubevision:binding:"+earlier.Name, n))
	eventually(t, soon, "the RoleBinding of the namespace goes", noBinding("kubevision:binding:"+inOne.Name, n))
	awaitNotReady(t, earlier, kubevisionv1alpha1.ReasonNameConflict)
	later := newBinding(t, kubevisionv1alpha1.RoleDev, nil, grants.ToUser(v.Name))
	awaitNotReady(t, later, kubevisionv1alpha1.ReasonNameConflict)
	for _, user := range []string{u.Name, v.Name} {
		for _, namespace := range []string{"", n} {
			holds(t, settling, "no rights of the role", may("kubevision:"+user, listSecrets(namespace), false))
		}
	}
	for _, role := range foreign {
		remove(t, role)
	}
	change(t, host(t), func(c *kubevisionv1alpha1.KubeVisionCluster) {
		c.Annotations = map[string]string{"test": unique("again")}
	})
	awaitReady(t, earlier)
	awaitReady(t, later)
}

func TestForeignRoleOfTheImpersonatorIsNotBound(t *testing.T) {
	guard(t)
	host(t)
	u := newUser(t, "")
	awaitReady(t, newBinding(t, kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name)))
	takeOver(t, names.Impersonator)
	eventually(t, soon, "the binding of the role goes", noBinding(names.Impersonator, ""))
	account := "system:serviceaccount:" + names.Namespace + ":" + names.Impersonator
	eventually(t, soon, "the rights of the role go", may(account, listSecrets(""), false))
	eventually(t, soon, "the host says so", func(ctx context.Context) error {
		c := hostObject(hostName)
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
			return err
		}
		for _, condition := range c.Status.Conditions {
			if condition.Type == kubevisionv1alpha1.ClusterImpersonationCondition &&
				condition.Status == metav1.ConditionFalse {
				return nil
			}
		}
		return errors.New("the account is in place")
	})
}

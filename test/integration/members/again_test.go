// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

// TestRegisteredAgain verifies that a member can be registered and removed several times, and that its controller for
// aggregated ClusterRoles does not recreate a deleted role.
func TestRegisteredAgain(t *testing.T) {
	const times = 5
	member := theOther(t)
	for range times {
		c := register(t, member.Config(), nil)
		ready(t, c)
		awaitRules(t, member, "kubevision:readonly")
		unregister(t, c)
		nothingLeft(t, member)
	}
	var roles rbacv1.ClusterRoleList
	if err := member.admin.List(t.Context(), &roles); err != nil {
		t.Fatal(err)
	}
	for _, role := range roles.Items {
		if strings.HasPrefix(role.Name, "kubevision:") {
			t.Errorf("%s is left: %v", role.Name, role.ManagedFields)
		}
	}
}

func awaitRules(t *testing.T, member *plane, name string) {
	t.Helper()
	fixture.Eventually(t, "aggregate the rules of "+name, func(ctx context.Context) error {
		role := &rbacv1.ClusterRole{}
		if err := member.admin.Get(ctx, client.ObjectKey{Name: name}, role); err != nil {
			return fmt.Errorf("reading the role: %w", err)
		}
		if len(role.Rules) == 0 {
			return fmt.Errorf("%s has no rules", name)
		}
		return nil
	})
}

// TestRemadeRoles verifies the registration of a cluster that already contains KubeVision's ClusterRole
// kubevision:readonly. The registration fails if a client other than the aggregation controller of Kubernetes has
// written the ClusterRole. Otherwise, the registration succeeds.
func TestRemadeRoles(t *testing.T) {
	member := theOther(t)
	remade := func(name, manager string) *rbacv1.ClusterRole {
		t.Helper()
		text := `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"` + name +
			`"},` +
			`"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]}`
		role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}}
		patch := client.RawPatch(types.ApplyPatchType, []byte(text))
		if err := member.admin.Patch(t.Context(), role, patch, client.FieldOwner(manager)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := client.IgnoreNotFound(member.admin.Delete(context.WithoutCancel(t.Context()), role)); err != nil {
				t.Error(err)
			}
		})
		return role
	}
	remade("kubevision:readonly", "clusterrole-aggregation-controller")
	c := register(t, member.Config(), nil)
	ready(t, c)
	unregister(t, c)

	foreign := remade("kubevision:readonly", "somebody")
	c = register(t, member.Config(), nil)
	fixture.Eventually(t, "be refused", func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
			return fmt.Errorf("reading the cluster: %w", err)
		}
		for _, condition := range c.Status.Conditions {
			if strings.Contains(condition.Message, foreign.Name) {
				return nil
			}
		}
		return fmt.Errorf("the conditions are %v", c.Status.Conditions)
	})
}

// TestRolesWithoutRules verifies that a role binding is not Ready on a registered cluster while the role in that
// cluster has no rules. Kubernetes must first aggregate the rules.
func TestRolesWithoutRules(t *testing.T) {
	member := theOther(t)
	aggregator := member.ControllerManager()
	if aggregator == nil {
		t.Skip("there is no kube-controller-manager")
	}
	c := register(t, member.Config(), nil)
	ready(t, c)
	awaitRules(t, member, "kubevision:readonly")
	if err := aggregator.Stop(); err != nil {
		t.Fatal(err)
	}
	start := sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := aggregator.Start(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(start)
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "kubevision:readonly"}}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"rules":null}`))
	if err := member.admin.Patch(t.Context(), role, patch); err != nil {
		t.Fatal(err)
	}
	b := set().Bind(t, "ruleless", fixture.Grant{
		Role: kubevisionv1alpha1.RoleReadonly, Subjects: fixture.KubeVisionUsers(set().User(t, "ruleless")),
		Cluster:     c.Name,
		Unconnected: true,
	})
	becomes := func(status metav1.ConditionStatus, text string) {
		t.Helper()
		fixture.Eventually(t, "see whether the binding is in force", func(ctx context.Context) error {
			if err := env.Client.Get(ctx, client.ObjectKeyFromObject(b), b); err != nil {
				return fmt.Errorf("reading the binding: %w", err)
			}
			for _, on := range b.Status.Clusters {
				if on.Name == c.Name && on.Status == status && strings.Contains(on.Message, text) {
					return nil
				}
			}
			return fmt.Errorf("the status is %+v", b.Status.Clusters)
		})
	}
	becomes(metav1.ConditionFalse, "any rules")
	start()
	becomes(metav1.ConditionTrue, "")
}

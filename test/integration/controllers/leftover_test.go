// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/grants"
)

func TestDeletedBindingLeavesNothing(t *testing.T) {
	for name, inOne := range map[string]bool{"in the whole cluster": false, "in a namespace": true} {
		t.Run(name, func(t *testing.T) {
			guard(t)
			host(t)
			u := newUser(t, "")
			var namespaces *kubevisionv1alpha1.NamespaceTargets
			if inOne {
				namespaces = grants.Named(newNamespace(t, nil))
			}
			b := newBinding(t, kubevisionv1alpha1.RoleDev, namespaces, grants.ToUser(u.Name))
			awaitReady(t, b)
			remove(t, b)
			if err := isMade(b)(t.Context()); err != nil {
				t.Errorf("directly after the deletion of the binding: %v", err)
			}
		})
	}
}

func TestUnlabelledGrantDoesNotOutliveTheBinding(t *testing.T) {
	for _, label := range []string{names.ManagedByLabel, names.RoleBindingLabel} {
		t.Run(label, func(t *testing.T) {
			guard(t)
			host(t)
			u := newUser(t, "")
			b := newBinding(t, kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name))
			awaitReady(t, b)
			o := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "kubevision:binding:" + b.Name}}
			t.Cleanup(func() { remove(t, o) })
			holds(t, settling, "before the change",
				isMade(b, inWholeCluster(b, readonly, user(u.Name)), using(b, hostName, user(u.Name))))
			change(t, o, func(o *rbacv1.ClusterRoleBinding) { delete(o.Labels, label) })
			remove(t, b)
			eventuallyGone(t, o)
		})
	}
}

func eventuallyGone(tb testing.TB, o client.Object) {
	tb.Helper()
	eventually(tb, soon, "wait until "+o.GetName()+" is gone",
		func(ctx context.Context) error { return absent(ctx, o) })
}

// TestDeletionOrders verifies that related objects can be deleted in any order, and that no object remains.
func TestDeletionOrders(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			guard(t)
			noHost(t)
			value := newPassword()
			n := namespaceObject(unique("ns"))
			create(t, n)
			u := newUser(t, newSource(t, value).Name)
			c := hostObject(unique("cluster"))
			create(t, c)
			b := hostBinding(kubevisionv1alpha1.RoleDev, grants.Named(n.Name), grants.ToUser(u.Name),
				kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectServiceAccount, Namespace: n.Name,
					Name: "robot"})
			b.Spec.Clusters.Names = []string{c.Name}
			create(t, b)
			awaitReady(t, b)
			awaitReady(t, u)
			awaitReady(t, c)

			order := []client.Object{u, c, b, n}
			random := rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // the seed makes the order reproducible
			random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			for _, o := range order {
				if err := env.Client.Delete(t.Context(), o); err != nil {
					t.Fatal(err)
				}
			}
			for _, o := range order {
				eventuallyAbsent(t, o)
			}
			eventuallyAbsent(t, credentialsOf(u.Name))
			awaitMade(t, b)
			eventually(t, soon, "look for what is left",
				func(ctx context.Context) error { return nothingLeft(ctx, n.Name) })
			host(t)
			awaitImpersonator(t)
		})
	}
}

func nothingLeft(ctx context.Context, namespace string) error {
	var roles rbacv1.RoleList
	var bindings rbacv1.RoleBindingList
	err := errors.Join(env.Client.List(ctx, &roles, client.InNamespace(namespace)),
		env.Client.List(ctx, &bindings, client.InNamespace(namespace)))
	if err == nil && len(roles.Items)+len(bindings.Items) > 0 {
		err = fmt.Errorf("there are %d roles and %d bindings", len(roles.Items), len(bindings.Items))
	}
	return err
}

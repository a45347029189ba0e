// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/grants"
)

// stuck deletes a namespace. The deletion does not complete, because an object in the namespace has a finalizer.
func stuck(tb testing.TB, namespace string) {
	tb.Helper()
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "stays",
		Finalizers: []string{"example.com/stays"}}}
	if err := env.Client.Create(tb.Context(), m); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := later(tb)
		defer cancel()
		m.Finalizers = nil
		m.ResourceVersion = ""
		if err := env.Client.Update(ctx, m); client.IgnoreNotFound(err) != nil {
			tb.Errorf("letting the namespace go: %v", err)
		}
	})
	remove(tb, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
}

func TestStuckNamespaceHarmsNoOtherBinding(t *testing.T) {
	guard(t)
	host(t)
	n := newNamespace(t, nil)
	b := newBinding(t, kubevisionv1alpha1.RoleReadonly, nil,
		kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectServiceAccount, Namespace: n, Name: "robot"})
	awaitReady(t, b)
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: n, Name: "kubevision-impersonator"}}
	read(t, role)
	stuck(t, n)
	eventuallyAbsent(t, role)

	u := newUser(t, "")
	other := newBinding(t, kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name))
	awaitMade(t, other, inWholeCluster(other, readonly, user(u.Name)), using(other, hostName, user(u.Name)))
	awaitReady(t, other)
	awaitReady(t, host(t))
}

func badSelectors() map[string]*metav1.LabelSelector {
	return map[string]*metav1.LabelSelector{
		"unknown operator": {MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Like",
			Values: []string{"b"}}}},
		"bad value": {MatchLabels: map[string]string{"a": "b c"}},
	}
}

// tryUpdate calls mutate to change the binding, and then updates the binding. It returns false if the API server
// rejects the update.
func tryUpdate(tb testing.TB, b *kubevisionv1alpha1.KubeVisionRoleBinding, mutate func()) bool {
	tb.Helper()
	read(tb, b)
	mutate()
	return env.Client.Update(tb.Context(), b) == nil
}

// TestBadSelectorEndsTheGrant verifies that an invalid selector selects nothing: the previous grants are revoked, and
// the status contains the reason.
func TestBadSelectorEndsTheGrant(t *testing.T) {
	for name, selector := range badSelectors() {
		t.Run(name, func(t *testing.T) {
			guard(t)
			host(t)
			n := newNamespace(t, nil)
			u := newUser(t, "")
			ofClusters := newBinding(t, kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name))
			ofNamespaces := newBinding(t, kubevisionv1alpha1.RoleDev, grants.Named(n), grants.ToUser(u.Name))
			awaitReady(t, ofClusters)
			awaitReady(t, ofNamespaces)
			holds(t, settling, "before the change",
				isMade(ofClusters, inWholeCluster(ofClusters, readonly, user(u.Name)),
					using(ofClusters, hostName, user(u.Name))))
			for _, b := range []*kubevisionv1alpha1.KubeVisionRoleBinding{ofClusters, ofNamespaces} {
				if !tryUpdate(t, b, func() {
					if b == ofClusters {
						b.Spec.Clusters = kubevisionv1alpha1.ClusterTargets{Selector: selector}
					} else {
						b.Spec.Namespaces = &kubevisionv1alpha1.NamespaceTargets{Selector: selector}
					}
				}) {
					continue
				}
				if err := poll(t.Context(), soon, "wait for the end of the grant", func(ctx context.Context) error {
					made, err := grants.List(ctx, env.Client, b)
					if err != nil {
						return err
					}
					delete(made, "ClusterRole kubevision:use:"+b.Name)
					if b == ofNamespaces { // the binding still names the cluster
						delete(made, "ClusterRoleBinding kubevision:use:"+b.Name)
					}
					if len(made) > 0 {
						return errors.New("still there: " + slices.Sorted(maps.Keys(made))[0])
					}
					return nil
				}); err != nil {
					t.Error(err)
				}
				// The controller writes the status last.
				eventually(t, soon, "see it in the status", func(ctx context.Context) error {
					now := b.DeepCopy()
					if err := env.Client.Get(ctx, client.ObjectKeyFromObject(b), now); err != nil {
						return err
					}
					if now.Status.ObservedGeneration != now.Generation {
						return fmt.Errorf("the status has generation %d, want %d", now.Status.ObservedGeneration,
							now.Generation)
					}
					return nil
				})
			}
		})
	}
}

func TestBadSelectorLocksNobodyOut(t *testing.T) {
	guard(t)
	host(t)
	value := newPassword()
	u := newUser(t, newSource(t, value).Name)
	awaitReady(t, u)
	b := hostBinding(kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name))
	b.Spec.Clusters = kubevisionv1alpha1.ClusterTargets{Selector: badSelectors()["unknown operator"]}
	if err := env.Client.Create(t.Context(), b); err != nil {
		t.Skipf("the API server refuses such a selector: %v", err)
	}
	t.Cleanup(func() { remove(t, b) })
	awaitLogin(t, u.Name, value, dashboardv1alpha1.CodeOK)
}

func TestRoleThatCannotBeIsReported(t *testing.T) {
	for _, name := range []string{".", ".."} {
		t.Run(name, func(t *testing.T) {
			host(t)
			u := newUser(t, "")
			b := hostBinding(name, nil, grants.ToUser(u.Name))
			if err := env.Client.Create(t.Context(), b); err != nil {
				t.Skipf("the API server refuses the name: %v", err)
			}
			t.Cleanup(func() { remove(t, b) })
			eventually(t, soon, "wait for a condition", func(ctx context.Context) error {
				if err := env.Client.Get(ctx, client.ObjectKeyFromObject(b), b); err != nil {
					return err
				}
				if len(b.Status.Conditions) == 0 || b.Status.Conditions[0].Status != metav1.ConditionFalse {
					return errors.New("no event reports that the binding is not in force")
				}
				return nil
			})
		})
	}
}

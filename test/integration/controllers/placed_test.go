// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/grants"
)

// componentObjects returns all RBAC objects and ServiceAccounts with the label kubevision.io/component.
func componentObjects(ctx context.Context) ([]client.Object, error) {
	var out []client.Object
	var roles rbacv1.ClusterRoleList
	var clusterBindings rbacv1.ClusterRoleBindingList
	var namespaced rbacv1.RoleList
	var bindings rbacv1.RoleBindingList
	var accounts corev1.ServiceAccountList
	for _, list := range []client.ObjectList{&roles, &clusterBindings, &namespaced, &bindings, &accounts} {
		if err := env.Client.List(ctx, list, client.HasLabels{names.ComponentLabel}); err != nil {
			return nil, err
		}
	}
	for i := range roles.Items {
		out = append(out, &roles.Items[i])
	}
	for i := range clusterBindings.Items {
		out = append(out, &clusterBindings.Items[i])
	}
	for i := range namespaced.Items {
		out = append(out, &namespaced.Items[i])
	}
	for i := range bindings.Items {
		out = append(out, &bindings.Items[i])
	}
	for i := range accounts.Items {
		out = append(out, &accounts.Items[i])
	}
	return out, nil
}

func arePlaced(want ...string) func(context.Context) error {
	want = append([]string{}, want...)
	return func(ctx context.Context) error {
		objects, err := componentObjects(ctx)
		if err != nil {
			return err
		}
		got := []string{}
		for _, o := range objects {
			got = append(got, fmt.Sprintf("%T %s", o, client.ObjectKeyFromObject(o)))
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			return errors.New("wanted objects (-) and existing objects (+):\n" + diff)
		}
		return nil
	}
}

// inClusterObjects returns the types and names of the objects that the controllers create for a KubeVisionCluster with
// spec.inCluster.
func inClusterObjects() []string {
	return sorted(
		"*v1.ClusterRole /kubevision:admin", "*v1.ClusterRole /kubevision:ops",
		"*v1.ClusterRole /kubevision:ops-cluster", "*v1.ClusterRole /kubevision:dev",
		"*v1.ClusterRole /kubevision:dev-cluster", "*v1.ClusterRole /kubevision:readonly",
		"*v1.ClusterRole /kubevision:aggregate-cluster-view", "*v1.ClusterRole /kubevision:aggregate-operate-nodes",
		"*v1.ClusterRole /kubevision-impersonator", "*v1.ClusterRoleBinding /kubevision-impersonator",
		"*v1.ServiceAccount kubevision-system/kubevision-impersonator",
		"*v1.ClusterRole /kubevision-reader", "*v1.ClusterRoleBinding /kubevision-reader",
		"*v1.ClusterRoleBinding /kubevision-reader-view",
		"*v1.ServiceAccount kubevision-system/kubevision-reader")
}

func TestLastRegistrationOfTheHostTakesEverythingAlong(t *testing.T) {
	guard(t)
	host(t)
	namespace := newNamespace(t, nil)
	b := newBinding(t, kubevisionv1alpha1.RoleDev, grants.Named(namespace),
		kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectServiceAccount, Namespace: namespace, Name: "robot"})
	awaitReady(t, b)
	eventually(t, soon, "wait for the placed objects", arePlaced(sorted(append(inClusterObjects(),
		"*v1.Role "+namespace+"/kubevision-impersonator",
		"*v1.RoleBinding "+namespace+"/kubevision-impersonator")...)...))

	noHost(t)
	eventually(t, soon, "wait until nothing is placed", arePlaced())
	awaitMade(t, b)
	awaitNotReady(t, b, kubevisionv1alpha1.ReasonClusterNotFound)

	c := host(t)
	eventually(t, soon, "wait for the placed objects", arePlaced(sorted(append(inClusterObjects(),
		"*v1.Role "+namespace+"/kubevision-impersonator",
		"*v1.RoleBinding "+namespace+"/kubevision-impersonator")...)...))
	awaitReady(t, b)
	awaitReady(t, c)
}

func TestOtherRegistrationOfTheHostKeepsEverything(t *testing.T) {
	guard(t)
	host(t)
	before := versions(t)
	type cluster = kubevisionv1alpha1.KubeVisionCluster
	for name, goes := range map[string]func(second *cluster) *cluster{
		"the second goes": func(second *kubevisionv1alpha1.KubeVisionCluster) *kubevisionv1alpha1.KubeVisionCluster {
			return second
		},
		"the first goes": func(*kubevisionv1alpha1.KubeVisionCluster) *kubevisionv1alpha1.KubeVisionCluster {
			return hostObject(hostName)
		},
	} {
		t.Run(name, func(t *testing.T) {
			host(t)
			first := hostObject(hostName)
			if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(first), first); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Until(first.CreationTimestamp.Add(time.Second))) // creation times are in whole seconds
			second := hostObject(unique("second"))
			create(t, second)
			t.Cleanup(func() { registerHostAgain(t) })
			awaitNotReady(t, second, kubevisionv1alpha1.ReasonIdentityConflict)
			gone := goes(second)
			remove(t, gone)
			if gone.Name != second.Name { // the second registration is now valid
				awaitReady(t, second)
			}
			if diff := cmp.Diff(before, versions(t)); diff != "" {
				t.Errorf("placed objects (-before +after):\n%s", diff)
			}
		})
	}
}

func versions(tb testing.TB) map[string]string {
	tb.Helper()
	objects, err := componentObjects(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	out := map[string]string{}
	for _, o := range objects {
		out[fmt.Sprintf("%T %s", o, client.ObjectKeyFromObject(o))] = string(o.GetUID()) + "/" + o.GetResourceVersion()
	}
	return out
}

// TestShortRegistrationLeavesNothing verifies that no objects remain if a cluster registration is deleted very early.
// The controllers are then still creating objects for the registration.
func TestShortRegistrationLeavesNothing(t *testing.T) {
	guard(t)
	noHost(t)
	eventually(t, soon, "wait until nothing is placed", arePlaced())
	for range 8 {
		c := hostObject(unique("short"))
		create(t, c)
		eventually(t, soon, "wait for the finalizer", func(ctx context.Context) error {
			if err := env.Client.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
				return err
			}
			if len(c.Finalizers) == 0 {
				return errors.New("there is none")
			}
			return nil
		})
		remove(t, c)
		eventually(t, repairTime, "wait until nothing is placed", arePlaced())
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/grants"
)

// hostBinding returns a binding on the host. Without namespaces, it applies to the whole cluster.
func hostBinding(
	role string, namespaces *kubevisionv1alpha1.NamespaceTargets, subjects ...kubevisionv1alpha1.Subject,
) *kubevisionv1alpha1.KubeVisionRoleBinding {
	return grants.NewBinding(unique("binding"), hostName, role, namespaces, subjects...)
}

func newBinding(
	tb testing.TB, role string, namespaces *kubevisionv1alpha1.NamespaceTargets, subjects ...kubevisionv1alpha1.Subject,
) *kubevisionv1alpha1.KubeVisionRoleBinding {
	tb.Helper()
	b := hostBinding(role, namespaces, subjects...)
	create(tb, b)
	return b
}

const (
	dev      = "kubevision:dev"
	readonly = "kubevision:readonly"
)

// made maps each RBAC object to the description of its grant.
type made = grants.Objects

func user(name string) string { return grants.User(name) }

func inWholeCluster(b *kubevisionv1alpha1.KubeVisionRoleBinding, role string, subjects ...string) made {
	return grants.InWholeCluster(b, role, subjects...)
}

func inNamespaces(b *kubevisionv1alpha1.KubeVisionRoleBinding, role, subject string, namespaces ...string) made {
	return grants.InNamespaces(b, role, subject, namespaces...)
}

func using(b *kubevisionv1alpha1.KubeVisionRoleBinding, clusters string, subjects ...string) made {
	return grants.Using(b, clusters, subjects...)
}

// isMade returns a check that the binding has exactly the given objects.
func isMade(b *kubevisionv1alpha1.KubeVisionRoleBinding, want ...made) func(context.Context) error {
	return func(ctx context.Context) error { return grants.Check(ctx, env.Client, b, want...) }
}

func awaitMade(tb testing.TB, b *kubevisionv1alpha1.KubeVisionRoleBinding, want ...made) {
	tb.Helper()
	eventually(tb, soon, "wait for what binding "+b.Name+" asks for", isMade(b, want...))
}

func sorted(names ...string) []string { return slices.Sorted(slices.Values(names)) }

func relabel(tb testing.TB, namespace string, labels map[string]string) {
	tb.Helper()
	change(tb, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		func(n *corev1.Namespace) { n.Labels = labels })
}

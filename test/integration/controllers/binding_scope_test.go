// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

const (
	dev      = "kubevision:dev"
	readonly = "kubevision:readonly"
)

func TestNamespacesByName(t *testing.T) {
	guard(t)
	host(t)
	one, two := newNamespace(t, nil), newNamespace(t, nil)
	newNamespace(t, nil)
	u := newUser(t, "")
	b := newBinding(t, kubevisionv1alpha1.RoleDev, inNames(one, two), toUser(u.Name))
	awaitReady(t, b)
	awaitMade(t, b, inNamespaces(b, dev, user(u.Name), one, two), using(b, hostName, user(u.Name)))
	if got := b.Status.Clusters; len(got) != 1 || got[0].Name != hostName || got[0].Status != metav1.ConditionTrue ||
		got[0].ClusterRole != dev || got[0].NamespaceCount == nil || *got[0].NamespaceCount != 2 {
		t.Errorf("the status of the clusters is %+v", got)
	}

	change(t, b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) { b.Spec.Namespaces.Names = []string{two} })
	awaitMade(t, b, inNamespaces(b, dev, user(u.Name), two), using(b, hostName, user(u.Name)))
	awaitReady(t, b)
}

func TestNamespacesByLabel(t *testing.T) {
	guard(t)
	host(t)
	label := map[string]string{unique("team"): "web"}
	one := newNamespace(t, label)
	other := newNamespace(t, nil)
	u := newUser(t, "")
	b := newBinding(t, kubevisionv1alpha1.RoleDev, labelled(label), toUser(u.Name))
	awaitReady(t, b)
	awaitMade(t, b, inNamespaces(b, dev, user(u.Name), one), using(b, hostName, user(u.Name)))

	later := newNamespace(t, label)
	awaitMade(t, b, inNamespaces(b, dev, user(u.Name), one, later), using(b, hostName, user(u.Name)))
	relabel(t, one, nil)
	awaitMade(t, b, inNamespaces(b, dev, user(u.Name), later), using(b, hostName, user(u.Name)))
	relabel(t, other, label)
	awaitMade(t, b, inNamespaces(b, dev, user(u.Name), later, other), using(b, hostName, user(u.Name)))
	remove(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: later}})
	awaitMade(t, b, inNamespaces(b, dev, user(u.Name), other), using(b, hostName, user(u.Name)))
	awaitReady(t, b)
}

func relabel(tb testing.TB, namespace string, labels map[string]string) {
	tb.Helper()
	change(tb, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		func(n *corev1.Namespace) { n.Labels = labels })
}

func TestNoNamespaceMatches(t *testing.T) {
	guard(t)
	host(t)
	u := newUser(t, "")
	b := newBinding(t, kubevisionv1alpha1.RoleDev, labelled(map[string]string{unique("nobody"): "x"}), toUser(u.Name))
	awaitReady(t, b)
	awaitMade(t, b, using(b, hostName, user(u.Name)))
}

func TestNamespaceThatAppearsLater(t *testing.T) {
	guard(t)
	host(t)
	u := newUser(t, "")
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: unique("ns")}}
	b := newBinding(t, kubevisionv1alpha1.RoleDev, inNames(n.Name), toUser(u.Name))
	staysNotReady(t, b, kubevisionv1alpha1.ReasonNamespaceNotFound)
	awaitMade(t, b, using(b, hostName, user(u.Name)))
	create(t, n)
	awaitReady(t, b)
	awaitMade(t, b, inNamespaces(b, dev, user(u.Name), n.Name), using(b, hostName, user(u.Name)))
	remove(t, n)
	awaitNotReady(t, b, kubevisionv1alpha1.ReasonNamespaceNotFound)
	awaitMade(t, b, using(b, hostName, user(u.Name)))
}

func TestWholeClusterAndBack(t *testing.T) {
	guard(t)
	host(t)
	n := newNamespace(t, nil)
	u := newUser(t, "")
	b := newBinding(t, kubevisionv1alpha1.RoleReadonly, inNames(n), toUser(u.Name))
	awaitMade(t, b, inNamespaces(b, readonly, user(u.Name), n), using(b, hostName, user(u.Name)))
	change(t, b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) { b.Spec.Namespaces = nil })
	awaitMade(t, b, inWholeCluster(b, readonly, user(u.Name)), using(b, hostName, user(u.Name)))
	awaitReady(t, b)
	if got := b.Status.Clusters; len(got) != 1 || got[0].NamespaceCount != nil {
		t.Errorf("the status of the clusters is %+v", got)
	}
	change(t, b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) { b.Spec.Namespaces = inNames(n) })
	awaitMade(t, b, inNamespaces(b, readonly, user(u.Name), n), using(b, hostName, user(u.Name)))
	awaitReady(t, b)
}

func TestChangeOfTheRole(t *testing.T) {
	guard(t)
	host(t)
	n := newNamespace(t, nil)
	u := newUser(t, "")
	for name, namespaces := range map[string]*kubevisionv1alpha1.NamespaceTargets{"cluster": nil,
		"namespace": inNames(n)} {
		t.Run(name, func(t *testing.T) {
			b := newBinding(t, kubevisionv1alpha1.RoleAdmin, namespaces, toUser(u.Name))
			awaitReady(t, b)
			change(t, b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
				b.Spec.RoleRef.Name = kubevisionv1alpha1.RoleReadonly
			})
			want := inWholeCluster(b, "kubevision:readonly", user(u.Name))
			if namespaces != nil {
				want = inNamespaces(b, "kubevision:readonly", user(u.Name), n)
			}
			awaitMade(t, b, want, using(b, hostName, user(u.Name)))
			awaitReady(t, b)
		})
	}
}

func TestChangeOfTheSubjects(t *testing.T) {
	guard(t)
	host(t)
	n := newNamespace(t, nil)
	one, two := newUser(t, ""), newUser(t, "")
	b := newBinding(t, kubevisionv1alpha1.RoleReadonly, nil, toUser(one.Name))
	awaitReady(t, b)
	change(t, b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
		b.Spec.Subjects = []kubevisionv1alpha1.Subject{
			toUser(two.Name), toGroup("web"),
			{Kind: kubevisionv1alpha1.SubjectUser, Name: "jane@example.com"},
			{Kind: kubevisionv1alpha1.SubjectGroup, Name: "oidc:ops"},
			{Kind: kubevisionv1alpha1.SubjectServiceAccount, Namespace: n, Name: "ci"},
		}
	})
	everybody := []string{user(two.Name), group("web"), "User jane@example.com", "Group oidc:ops",
		"ServiceAccount " + n + "/ci"}
	awaitMade(t, b, inWholeCluster(b, readonly, everybody...), using(b, hostName, everybody...))
	awaitReady(t, b)
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/controlplane"
	"github.com/kubevision-io/kubevision/test/grants"
)

func TestNamespacesByName(t *testing.T) {
	s := start(t)
	one, two := newNamespace(t, s, nil), newNamespace(t, s, nil)
	newNamespace(t, s, nil)
	u := newUser(t, s)
	b := newBinding(t, s, kubevisionv1alpha1.RoleDev, grants.Named(one, two), grants.ToUser(u.Name))
	shared.AwaitReady(t, b)
	awaitMade(t, s, b, grants.InNamespaces(b, dev, user(u), one, two), using(b, user(u)))
	if got := b.Status.Clusters; len(got) != 1 || got[0].Name != hostName || got[0].Status != metav1.ConditionTrue ||
		got[0].ClusterRole != dev || got[0].NamespaceCount == nil || *got[0].NamespaceCount != 2 {
		t.Errorf("the status of the clusters is %+v", got)
	}

	controlplane.Change(t, s.Client, b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
		b.Spec.Namespaces.Names = []string{two}
	})
	awaitMade(t, s, b, grants.InNamespaces(b, dev, user(u), two), using(b, user(u)))
	shared.AwaitReady(t, b)
}

func TestNamespacesByLabel(t *testing.T) {
	s := start(t)
	label := map[string]string{fixture.Name("team"): "web"}
	one := newNamespace(t, s, label)
	other := newNamespace(t, s, nil)
	u := newUser(t, s)
	b := newBinding(t, s, kubevisionv1alpha1.RoleDev, grants.Labelled(label), grants.ToUser(u.Name))
	shared.AwaitReady(t, b)
	awaitMade(t, s, b, grants.InNamespaces(b, dev, user(u), one), using(b, user(u)))

	later := newNamespace(t, s, label)
	awaitMade(t, s, b, grants.InNamespaces(b, dev, user(u), one, later), using(b, user(u)))
	relabel(t, s, one, nil)
	awaitMade(t, s, b, grants.InNamespaces(b, dev, user(u), later), using(b, user(u)))
	relabel(t, s, other, label)
	awaitMade(t, s, b, grants.InNamespaces(b, dev, user(u), later, other), using(b, user(u)))
	s.Delete(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: later}})
	awaitMade(t, s, b, grants.InNamespaces(b, dev, user(u), other), using(b, user(u)))
	shared.AwaitReady(t, b)
}

func relabel(t *testing.T, s fixture.Set, namespace string, labels map[string]string) {
	t.Helper()
	controlplane.Change(t, s.Client, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		func(n *corev1.Namespace) { n.Labels = labels })
}

func TestNoNamespaceMatches(t *testing.T) {
	s := start(t)
	u := newUser(t, s)
	nothing := grants.Labelled(map[string]string{fixture.Name("nobody"): "x"})
	b := newBinding(t, s, kubevisionv1alpha1.RoleDev, nothing, grants.ToUser(u.Name))
	shared.AwaitReady(t, b)
	awaitMade(t, s, b, using(b, user(u)))
}

func TestNamespaceThatAppearsLater(t *testing.T) {
	s := start(t)
	u := newUser(t, s)
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("ns")}}
	b := newBinding(t, s, kubevisionv1alpha1.RoleDev, grants.Named(n.Name), grants.ToUser(u.Name))
	shared.AwaitNotReady(t, b, kubevisionv1alpha1.ReasonNamespaceNotFound)
	awaitMade(t, s, b, using(b, user(u)))
	s.Create(t, n)
	shared.AwaitReady(t, b)
	awaitMade(t, s, b, grants.InNamespaces(b, dev, user(u), n.Name), using(b, user(u)))
	s.Delete(t, n)
	shared.AwaitNotReady(t, b, kubevisionv1alpha1.ReasonNamespaceNotFound)
	awaitMade(t, s, b, using(b, user(u)))
}

func TestWholeClusterAndBack(t *testing.T) {
	s := start(t)
	n := newNamespace(t, s, nil)
	u := newUser(t, s)
	b := newBinding(t, s, kubevisionv1alpha1.RoleReadonly, grants.Named(n), grants.ToUser(u.Name))
	awaitMade(t, s, b, grants.InNamespaces(b, readonly, user(u), n), using(b, user(u)))
	controlplane.Change(t, s.Client, b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
		b.Spec.Namespaces = nil
	})
	awaitMade(t, s, b, grants.InWholeCluster(b, readonly, user(u)), using(b, user(u)))
	shared.AwaitReady(t, b)
	if got := b.Status.Clusters; len(got) != 1 || got[0].NamespaceCount != nil {
		t.Errorf("the status of the clusters is %+v", got)
	}
	controlplane.Change(t, s.Client, b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
		b.Spec.Namespaces = grants.Named(n)
	})
	awaitMade(t, s, b, grants.InNamespaces(b, readonly, user(u), n), using(b, user(u)))
	shared.AwaitReady(t, b)
}

func TestChangeOfTheRole(t *testing.T) {
	s := start(t)
	n := newNamespace(t, s, nil)
	u := newUser(t, s)
	for name, namespaces := range map[string]*kubevisionv1alpha1.NamespaceTargets{"cluster": nil,
		"namespace": grants.Named(n)} {
		t.Run(name, func(t *testing.T) {
			b := newBinding(t, s, kubevisionv1alpha1.RoleAdmin, namespaces, grants.ToUser(u.Name))
			shared.AwaitReady(t, b)
			controlplane.Change(t, s.Client, b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
				b.Spec.RoleRef.Name = kubevisionv1alpha1.RoleReadonly
			})
			want := grants.InWholeCluster(b, "kubevision:readonly", user(u))
			if namespaces != nil {
				want = grants.InNamespaces(b, "kubevision:readonly", user(u), n)
			}
			awaitMade(t, s, b, want, using(b, user(u)))
			shared.AwaitReady(t, b)
		})
	}
}

func TestChangeOfTheSubjects(t *testing.T) {
	s := start(t)
	n := newNamespace(t, s, nil)
	one, two := newUser(t, s), newUser(t, s)
	b := newBinding(t, s, kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(one.Name))
	shared.AwaitReady(t, b)
	controlplane.Change(t, s.Client, b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
		b.Spec.Subjects = []kubevisionv1alpha1.Subject{
			grants.ToUser(two.Name), grants.ToGroup("web"),
			{Kind: kubevisionv1alpha1.SubjectUser, Name: "jane@example.com"},
			{Kind: kubevisionv1alpha1.SubjectGroup, Name: "oidc:ops"},
			{Kind: kubevisionv1alpha1.SubjectServiceAccount, Namespace: n, Name: "ci"},
		}
	})
	everybody := []string{user(two), grants.Group("web"), "User jane@example.com", "Group oidc:ops",
		"ServiceAccount " + n + "/ci"}
	awaitMade(t, s, b, grants.InWholeCluster(b, readonly, everybody...), using(b, everybody...))
	shared.AwaitReady(t, b)
}

func TestClusterRoleThatAppearsLater(t *testing.T) {
	s := start(t)
	u := newUser(t, s)
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("custom")}}
	b := newBinding(t, s, role.Name, nil, grants.ToUser(u.Name))
	shared.AwaitNotReady(t, b, kubevisionv1alpha1.ReasonRoleNotFound)
	s.Create(t, role)
	shared.AwaitReady(t, b)
	s.Delete(t, role)
	shared.AwaitNotReady(t, b, kubevisionv1alpha1.ReasonRoleNotFound)
}

func TestKindOfARole(t *testing.T) {
	s := start(t)
	u := newUser(t, s)
	for name, tc := range map[string]struct {
		kind kubevisionv1alpha1.RoleKind
		want string
	}{
		"no kind":        {"", "kubevision:admin"},
		"KubeVisionRole": {kubevisionv1alpha1.RoleKubeVision, "kubevision:admin"},
		"ClusterRole":    {kubevisionv1alpha1.RoleClusterRole, "admin"},
	} {
		t.Run(name, func(t *testing.T) {
			b := hostBinding(kubevisionv1alpha1.RoleAdmin, nil, grants.ToUser(u.Name))
			b.Spec.RoleRef.Kind = tc.kind
			s.Create(t, b)
			shared.AwaitReady(t, b)
			awaitMade(t, s, b, grants.InWholeCluster(b, tc.want, user(u)), using(b, user(u)))
		})
	}
}

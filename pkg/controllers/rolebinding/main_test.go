// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding_test

import (
	"context"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/controlplane"
	"github.com/kubevision-io/kubevision/test/grants"
)

const (
	hostName = "local"
	dev      = "kubevision:dev"
	readonly = "kubevision:readonly"
)

var shared controlplane.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

func start(t *testing.T) fixture.Set {
	t.Helper()
	s := fixture.Set{Client: shared.Controllers(t)}
	s.HostCluster(t, hostName)
	return s
}

func newNamespace(t *testing.T, s fixture.Set, labels map[string]string) string {
	t.Helper()
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("ns"), Labels: labels}}
	s.Create(t, n)
	return n.Name
}

func newUser(t *testing.T, s fixture.Set) *kubevisionv1alpha1.KubeVisionUser {
	t.Helper()
	u := &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("user")}}
	s.Create(t, u)
	return u
}

// hostBinding returns a role binding for the cluster on which KubeVision runs. If namespaces is nil, the role binding
// applies to the whole cluster.
func hostBinding(
	role string, namespaces *kubevisionv1alpha1.NamespaceTargets, subjects ...kubevisionv1alpha1.Subject,
) *kubevisionv1alpha1.KubeVisionRoleBinding {
	return grants.NewBinding(fixture.Name("binding"), hostName, role, namespaces, subjects...)
}

func newBinding(
	t *testing.T, s fixture.Set, role string, namespaces *kubevisionv1alpha1.NamespaceTargets,
	subjects ...kubevisionv1alpha1.Subject,
) *kubevisionv1alpha1.KubeVisionRoleBinding {
	t.Helper()
	b := hostBinding(role, namespaces, subjects...)
	s.Create(t, b)
	return b
}

func user(u *kubevisionv1alpha1.KubeVisionUser) string { return grants.User(u.Name) }

// using describes the RBAC objects that allow the subjects to use the cluster on which KubeVision runs.
func using(b *kubevisionv1alpha1.KubeVisionRoleBinding, subjects ...string) grants.Objects {
	return grants.Using(b, hostName, subjects...)
}

func awaitMade(t *testing.T, s fixture.Set, b *kubevisionv1alpha1.KubeVisionRoleBinding, want ...grants.Objects) {
	t.Helper()
	fixture.Eventually(t, "wait for the objects of binding "+b.Name, func(ctx context.Context) error {
		return grants.Check(ctx, s.Client, b, want...)
	})
}

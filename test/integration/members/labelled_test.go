// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/environment"
)

// fill creates RoleBindings with the labels of KubeVision's RoleBindings. Each RoleBinding has a size of 1.25 MiB, and
// a finalizer that prevents immediate deletion. Any user who may write RoleBindings in one namespace of the registered
// cluster can create such RoleBindings.
func (p *plane) fill(tb testing.TB, namespace, binding string, count int) {
	tb.Helper()
	tb.Cleanup(func() { p.unfill(tb, namespace, count) })
	for i := range count {
		o := filling(namespace, i)
		o.Labels = map[string]string{names.ManagedByLabel: names.ManagedBy, names.RoleBindingLabel: binding}
		o.Annotations = map[string]string{"filling": strings.Repeat("x", 250<<10)}
		o.Finalizers = []string{"example.com/filling"}
		o.RoleRef = rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"}
		o.Subjects = []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind,
			Name: strings.Repeat("x", 1<<20)}}
		if err := p.admin.Create(tb.Context(), o); err != nil {
			tb.Fatal(err)
		}
	}
}

func filling(namespace string, i int) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("filling-%d", i)}}
}

func (p *plane) unfill(tb testing.TB, namespace string, count int) {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context())
	release := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	for i := range count {
		err := errors.Join(
			client.IgnoreNotFound(p.admin.Patch(ctx, filling(namespace, i), release)),
			client.IgnoreNotFound(p.admin.Delete(ctx, filling(namespace, i))),
		)
		if err != nil {
			tb.Error(err)
		}
	}
}

func skipRace(t *testing.T) {
	t.Helper()
	if environment.DetectsRaces() {
		t.Skip("with the race detector many large objects take minutes; make test-limits runs this test without it")
	}
}

// TestLabelledObjectsKeepNoRights verifies that rights on a registered cluster can be revoked although the cluster
// contains many large RoleBindings with KubeVision's labels. The controllers must read all RoleBindings with these
// labels.
func TestLabelledObjectsKeepNoRights(t *testing.T) {
	skipRace(t)
	member := theOther(t)
	c := register(t, member.Config(), nil)
	ready(t, c)
	p := login(t, "labelled")
	n := member.set().Namespace(t, "labelled")
	b := set().Bind(t, "labelled", fixture.Grant{
		Role: kubevisionv1alpha1.RoleReadonly, Subjects: fixture.KubeVisionUsers(p.User), Cluster: c.Name,
		Namespaces: []string{n},
	})
	path := "/namespaces/" + n + "/resources/configmaps"
	p.becomes(t, fixture.Patience, c.Name, path, wire.OK)
	member.fill(t, n, b.Name, 16)
	other := member.set().Namespace(t, "other")
	before := b.DeepCopy()
	b.Spec.Namespaces.Names = []string{other}
	if err := env.Client.Patch(t.Context(), b, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	p.becomes(t, fixture.Patience, c.Name, path, wire.NamespaceForbidden)
}

// TestLimitExceeded verifies that nobody can use a registered cluster whose RoleBindings exceed the memory limit of the
// controllers. The controllers could not revoke rights on such a cluster.
func TestLimitExceeded(t *testing.T) {
	skipRace(t)
	member := theOther(t)
	c := register(t, member.Config(), nil)
	ready(t, c)
	p := login(t, "exceeded")
	set().Bind(t, "exceeded", fixture.Grant{Role: kubevisionv1alpha1.RoleReadonly,
		Subjects: fixture.KubeVisionUsers(p.User), Cluster: c.Name})
	const path, count = "/namespaces/default/resources/configmaps", 140
	p.becomes(t, fixture.Patience, c.Name, path, wire.OK)
	n := member.set().Namespace(t, "filled")
	member.fill(t, n, "nothing", count)
	condition(t, c, collection, kubevisionv1alpha1.ReadyCondition, metav1.ConditionFalse,
		kubevisionv1alpha1.ReasonLimitExceeded)
	p.becomes(t, fixture.Patience, c.Name, path, wire.Unreachable)
	member.unfill(t, n, count)
	condition(t, c, collection, kubevisionv1alpha1.ReadyCondition, metav1.ConditionTrue, "")
	p.becomes(t, fixture.Patience, c.Name, path, wire.OK)
}

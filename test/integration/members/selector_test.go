// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func namesOf(list client.ObjectList) []string {
	var out []string
	_ = meta.EachListItem(list, func(o runtime.Object) error {
		if object, ok := o.(client.Object); ok {
			out = append(out, object.GetName())
		}
		return nil
	})
	return out
}

// TestMemberSelectors verifies that a role binding with label selectors grants rights only while the labels of the
// cluster and of the namespace match. The deletion of another registration of the same cluster must not remove rights.
func TestMemberSelectors(t *testing.T) {
	member := theOther(t)
	key, value := "team", fixture.Name("team")
	p := login(t, "selected")
	set().Create(t, &kubevisionv1alpha1.KubeVisionRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("selected")},
		Spec: kubevisionv1alpha1.KubeVisionRoleBindingSpec{
			Subjects: fixture.KubeVisionUsers(p.User),
			RoleRef:  kubevisionv1alpha1.RoleReference{Name: kubevisionv1alpha1.RoleReadonly},
			Clusters: kubevisionv1alpha1.ClusterTargets{
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}},
			Namespaces: &kubevisionv1alpha1.NamespaceTargets{
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}},
		},
	})
	c := register(t, member.Config(), map[string]string{key: value})
	twin := register(t, member.Config(), nil)
	ready(t, c)
	ready(t, twin)
	if c.Status.ClusterID != twin.Status.ClusterID {
		t.Errorf("one cluster has two ids: %s, %s", c.Status.ClusterID, twin.Status.ClusterID)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("selected"),
		Labels: map[string]string{key: value}}}
	member.set().Create(t, ns)
	path := "/namespaces/" + ns.Name + "/resources/pods"
	p.becomes(t, fixture.Patience, c.Name, path, wire.OK) // Kubernetes must aggregate the rules of new roles
	if code := p.code(t, twin.Name, path); code != wire.ClusterForbidden {
		t.Errorf("by a registration that the binding does not select: code %d", code)
	}

	relabel(t, member.admin, ns, nil)
	p.becomes(t, repairTime, c.Name, path, wire.NamespaceForbidden)
	relabel(t, member.admin, ns, map[string]string{key: value})
	p.becomes(t, repairTime, c.Name, path, wire.OK)

	unregister(t, twin) // the grants of the other registration remain
	if code := p.code(t, c.Name, path); code != wire.OK {
		t.Errorf("after the other registration is gone: code %d", code)
	}
	relabel(t, env.Client, c, nil)
	p.becomes(t, repairTime, c.Name, path, wire.ClusterForbidden)
}

func relabel(tb testing.TB, c client.Client, o client.Object, labels map[string]string) {
	tb.Helper()
	before, ok := o.DeepCopyObject().(client.Object)
	if !ok {
		tb.Fatalf("%T is no object", o)
	}
	o.SetLabels(labels)
	if err := c.Patch(tb.Context(), o, client.MergeFrom(before)); err != nil {
		tb.Fatal(err)
	}
}

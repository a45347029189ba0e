// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/grants"
)

// content returns the part of an object that is compared.
func content(o client.Object) any {
	labels := o.GetLabels()
	switch o := o.(type) {
	case *rbacv1.ClusterRole:
		if o.AggregationRule != nil { // the cluster aggregates the rules
			return []any{labels, o.AggregationRule}
		}
		return []any{labels, o.Rules}
	case *rbacv1.Role:
		return []any{labels, o.Rules}
	case *rbacv1.ClusterRoleBinding:
		return []any{labels, o.RoleRef, o.Subjects}
	case *rbacv1.RoleBinding:
		return []any{labels, o.RoleRef, o.Subjects}
	default:
		return labels
	}
}

func isUnchanged(was client.Object) func(context.Context) error {
	return func(ctx context.Context) error {
		now, ok := was.DeepCopyObject().(client.Object)
		if !ok {
			return errors.New("not an object")
		}
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(was), now); err != nil {
			return err
		}
		if diff := cmp.Diff(content(was), content(now)); diff != "" {
			return fmt.Errorf("(-want +got):\n%s", diff)
		}
		return nil
	}
}

func drifts() map[string]func(testing.TB, client.Object) {
	return map[string]func(testing.TB, client.Object){
		"deleted": func(tb testing.TB, o client.Object) {
			tb.Helper()
			if err := env.Client.Delete(tb.Context(), o); err != nil {
				tb.Fatal(err)
			}
		},
		"emptied":            patched(empty),
		"widened":            patched(widen),
		"aggregated":         patched(aggregate),
		"without managed-by": patched(func(o client.Object) bool { return unlabel(o, names.ManagedByLabel) }),
		"without its other label": patched(func(o client.Object) bool {
			return unlabel(o, names.RoleBindingLabel) || unlabel(o, names.ComponentLabel)
		}),
		"labelled for another": patched(mislabel),
	}
}

// patched returns a function that patches an object with the change that mutate makes. If mutate returns false, the
// function skips the test.
func patched(mutate func(client.Object) bool) func(testing.TB, client.Object) {
	return func(tb testing.TB, o client.Object) {
		tb.Helper()
		before, ok := o.DeepCopyObject().(client.Object)
		if !ok || !mutate(o) {
			tb.Skip("the object has nothing that this change concerns")
		}
		if err := env.Client.Patch(tb.Context(), o, client.MergeFrom(before),
			client.FieldOwner("by-hand")); err != nil {
			tb.Fatal(err)
		}
	}
}

func empty(o client.Object) bool {
	switch o := o.(type) {
	case *rbacv1.ClusterRole:
		if o.AggregationRule != nil {
			o.AggregationRule = nil
		}
		o.Rules = nil
	case *rbacv1.Role:
		o.Rules = nil
	case *rbacv1.ClusterRoleBinding:
		o.Subjects = nil
	case *rbacv1.RoleBinding:
		o.Subjects = nil
	default:
		return false
	}
	return true
}

func widen(o client.Object) bool {
	everything := rbacv1.PolicyRule{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}
	somebody := rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "mallory"}
	switch o := o.(type) {
	case *rbacv1.ClusterRole:
		if o.AggregationRule != nil {
			o.AggregationRule.ClusterRoleSelectors = append(o.AggregationRule.ClusterRoleSelectors,
				metav1.LabelSelector{MatchLabels: map[string]string{"no": "body"}})
		} else {
			o.Rules = append(o.Rules, everything)
		}
	case *rbacv1.Role:
		o.Rules = append(o.Rules, everything)
	case *rbacv1.ClusterRoleBinding:
		o.Subjects = append(o.Subjects, somebody)
	case *rbacv1.RoleBinding:
		o.Subjects = append(o.Subjects, somebody)
	default:
		return false
	}
	return true
}

func aggregate(o client.Object) bool {
	role, ok := o.(*rbacv1.ClusterRole)
	if !ok || role.AggregationRule != nil {
		return false
	}
	role.AggregationRule = &rbacv1.AggregationRule{
		ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"no": "body"}}}}
	return true
}

func unlabel(o client.Object, label string) bool {
	labels := o.GetLabels()
	if labels[label] == "" {
		return false
	}
	delete(labels, label)
	o.SetLabels(labels)
	return true
}

func mislabel(o client.Object) bool {
	labels := o.GetLabels()
	if labels[names.RoleBindingLabel] == "" {
		return false
	}
	labels[names.RoleBindingLabel] = "another"
	o.SetLabels(labels)
	return true
}

func TestDriftOfABindingIsRepaired(t *testing.T) {
	guard(t)
	host(t)
	n := newNamespace(t, nil)
	u := newUser(t, "")
	whole, inOne := newBinding(t, kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name)), newBinding(t,
		kubevisionv1alpha1.RoleDev, grants.Named(n), grants.ToUser(u.Name))
	awaitReady(t, whole)
	awaitReady(t, inOne)
	for name, o := range map[string]client.Object{
		"ClusterRoleBinding": &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "kubevision:binding:" +
			whole.Name}},
		"RoleBinding": &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: n,
			Name: "kubevision:binding:" + inOne.Name}},
		"ClusterRole for use": &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "kubevision:use:" +
			whole.Name}},
		"ClusterRoleBinding for use": &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "kubevision:use:" +
			whole.Name}},
	} {
		checkDrift(t, name, o)
	}
}

func TestCopyOfAGrantIsRemoved(t *testing.T) {
	guard(t)
	host(t)
	n, other := newNamespace(t, nil), newNamespace(t, nil)
	u := newUser(t, "")
	b := newBinding(t, kubevisionv1alpha1.RoleDev, grants.Named(n), grants.ToUser(u.Name))
	awaitReady(t, b)
	original := read(t, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: n, Name: "kubevision:binding:" +
		b.Name}})
	stray := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: other, Name: "copy", Labels: original.Labels},
		RoleRef:    original.RoleRef, Subjects: original.Subjects,
	}
	create(t, stray)
	eventually(t, repairTime, "wait until the copy is gone", func(ctx context.Context) error {
		return absent(ctx, stray)
	})
	awaitMade(t, b, inNamespaces(b, dev, user(u.Name), n), using(b, hostName, user(u.Name)))
}

func TestDriftOfWhatIsPlacedIsRepaired(t *testing.T) {
	guard(t)
	host(t)
	n := newNamespace(t, nil)
	awaitReady(t, newBinding(t, kubevisionv1alpha1.RoleReadonly, nil,
		kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectServiceAccount, Namespace: n, Name: "robot"}))
	impersonator := metav1.ObjectMeta{Name: names.Impersonator}
	for name, o := range map[string]client.Object{
		"built-in role":               clusterRole("kubevision:admin"),
		"aggregated role":             clusterRole("kubevision:readonly"),
		"an aggregated role":          clusterRole("kubevision:aggregate-operate-nodes"),
		"impersonator":                clusterRole(names.Impersonator),
		"binding of the impersonator": &rbacv1.ClusterRoleBinding{ObjectMeta: impersonator},
		"impersonator's ServiceAccount": &corev1.ServiceAccount{
			ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace, Name: names.Impersonator}},
		"reader's view": &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: names.Reader +
			"-view"}},
		"reader's ServiceAccount": &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace,
			Name: names.Reader}},
		"impersonator in a namespace": &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: n,
			Name: names.Impersonator}},
		"impersonator bound in namespace": &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: n,
			Name: names.Impersonator}},
	} {
		checkDrift(t, name, o)
	}
}

func checkDrift(t *testing.T, name string, o client.Object) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel() // the checks mostly wait
		for how, drift := range drifts() {
			t.Run(how, func(t *testing.T) {
				was, ok := read(t, o).DeepCopyObject().(client.Object)
				if !ok {
					t.Fatal("not an object")
				}
				t.Cleanup(func() { repair(t, was) })
				holds(t, settling, "before the drift", isUnchanged(was))
				drift(t, read(t, o))
				eventually(t, repairTime, "wait until it is repaired", isUnchanged(was))
			})
		}
	})
}

// repair restores the previous content of an object if KubeVision has not restored it. The next test case then begins
// with a valid object.
func repair(tb testing.TB, was client.Object) {
	tb.Helper()
	ctx, cancel := later(tb)
	defer cancel()
	if isUnchanged(was)(ctx) == nil {
		return
	}
	now, ok := was.DeepCopyObject().(client.Object)
	if !ok {
		return
	}
	if err := env.Client.Get(ctx, client.ObjectKeyFromObject(was), now); err == nil {
		was.SetResourceVersion(now.GetResourceVersion())
		was.SetUID(now.GetUID())
		if err := env.Client.Update(ctx, was); err != nil {
			tb.Logf("putting it back: %v", err)
		}
	}
}

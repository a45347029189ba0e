// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/grants"
)

func allowRemovingLastAdmin(tb testing.TB, objects ...client.Object) {
	tb.Helper()
	ctx, cancel := later(tb)
	defer cancel()
	patch := client.RawPatch(types.MergePatchType,
		[]byte(`{"metadata":{"annotations":{"`+names.AllowRemovingLastAdminAnnotation+`":"true"}}}`))
	for _, o := range objects {
		if err := env.Client.Patch(ctx, o, patch); client.IgnoreNotFound(err) != nil {
			tb.Error(err)
		}
	}
}

func policyParameter(name string) *kubevisionv1alpha1.KubeVisionPolicyParameter {
	return &kubevisionv1alpha1.KubeVisionPolicyParameter{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func awaitLastAdminParameter(tb testing.TB, what string, wanted func(*kubevisionv1alpha1.LastAdminParameter) bool) {
	tb.Helper()
	p := policyParameter(names.LastAdminParameter)
	eventually(tb, lease, "wait for "+what, func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		if !wanted(p.Spec.LastAdmin) {
			return fmt.Errorf("the parameter is %+v", p.Spec.LastAdmin)
		}
		return nil
	})
}

func awaitLastAdmin(tb testing.TB, user, binding string) {
	tb.Helper()
	awaitLastAdminParameter(tb, "the last administrator "+user, func(p *kubevisionv1alpha1.LastAdminParameter) bool {
		return p.User == user && p.Binding == binding
	})
}

func awaitAdmins(tb testing.TB, want ...string) {
	tb.Helper()
	slices.Sort(want)
	awaitLastAdminParameter(tb, "the administrators", func(p *kubevisionv1alpha1.LastAdminParameter) bool {
		return slices.Equal(p.Admins, want) && int(p.AdminCount) == len(want)
	})
}

// refused waits until the API server rejects a change that would remove the last administrator. The wait is necessary
// because admission policies read a new version of a KubeVisionPolicyParameter only after a delay.
func refused(tb testing.TB, what string, try func(context.Context) error) {
	tb.Helper()
	eventually(tb, soon, what, func(ctx context.Context) error {
		err := try(ctx)
		if !apierrors.IsForbidden(err) || !strings.Contains(fmt.Sprint(err), "administrator") {
			return fmt.Errorf("it is not refused: %w", err)
		}
		if code := envelope.FromAPIError(err).Code; code != 40900 {
			return fmt.Errorf("the code is %d: %w", code, err)
		}
		return nil
	})
}

func accepted(tb testing.TB, what string, try func(context.Context) error) {
	tb.Helper()
	eventually(tb, soon, what, try)
}

func deletion(o client.Object) func(context.Context) error {
	return func(ctx context.Context) error { return env.Client.Delete(ctx, o, client.DryRunAll) }
}

func changing[T client.Object](o T, how func(T)) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		how(o)
		return env.Client.Update(ctx, o, client.DryRunAll)
	}
}

func disable(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.Disabled = true }

func newAdmin(tb testing.TB, subjectOf func(*kubevisionv1alpha1.KubeVisionUser) kubevisionv1alpha1.Subject) (
	*kubevisionv1alpha1.KubeVisionUser, *kubevisionv1alpha1.KubeVisionRoleBinding,
) {
	tb.Helper()
	u := userObject(newSource(tb, newPassword()).Name)
	u.Spec.Groups = []string{unique("admins"), "others"}
	tb.Cleanup(func() { remove(tb, credentialsOf(u.Name)) }) // the garbage collector would delete them later
	create(tb, u)
	b := newBinding(tb, kubevisionv1alpha1.RoleAdmin, nil, subjectOf(u))
	tb.Cleanup(func() { allowRemovingLastAdmin(tb, b, u) })
	return u, b
}

func byName(u *kubevisionv1alpha1.KubeVisionUser) kubevisionv1alpha1.Subject {
	return grants.ToUser(u.Name)
}

func byGroup(u *kubevisionv1alpha1.KubeVisionUser) kubevisionv1alpha1.Subject {
	return grants.ToGroup(u.Spec.Groups[0])
}

// TestFirstUserIsTheLastAdmin verifies that a new installation has one administrator, which cannot be removed.
func TestFirstUserIsTheLastAdmin(t *testing.T) {
	guard(t)
	host(t)
	u := read(t, &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: names.AdminUser}})
	b := read(t, &kubevisionv1alpha1.KubeVisionRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: names.AdminUser}})
	awaitLastAdmin(t, names.AdminUser, names.AdminUser)
	refused(t, "delete the first user", deletion(u))
	refused(t, "disable the first user", changing(u, disable))
	refused(t, "delete the binding", deletion(b))
	refused(t, "delete all users", func(ctx context.Context) error {
		return env.Client.DeleteAllOf(ctx, &kubevisionv1alpha1.KubeVisionUser{},
			client.MatchingFields{"metadata.name": names.AdminUser}, client.DryRunAll)
	})
	if _, err := env.Cluster.Kubectl(t.Context(), "delete", "kvu", names.AdminUser, "--dry-run=server"); err == nil ||
		!strings.Contains(err.Error(), "last usable administrator") {
		t.Errorf("kubectl says %v", err)
	}

	// If the parameter is deleted, the protection is soon restored.
	remove(t, read(t, policyParameter(names.LastAdminParameter)))
	refused(t, "delete the first user", deletion(u))

	// A user who cannot log in does not count as an administrator.
	disabled, _ := newAdmin(t, byName)
	change(t, disabled, disable)
	without := newUser(t, "")
	newBinding(t, kubevisionv1alpha1.RoleAdmin, nil, grants.ToUser(without.Name))
	other, otherBinding := newAdmin(t, byName)
	awaitAdmins(t, names.AdminUser, other.Name)
	accepted(t, "delete the first user beside another", deletion(u))
	accepted(t, "delete the other", deletion(other))
	change(t, otherBinding, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
		b.Spec.Namespaces = grants.Named("default")
	})
	awaitAdmins(t, names.AdminUser)
	refused(t, "delete the first user", deletion(u))
	accepted(t, "delete the other", deletion(other))
}

// TestLastAdmin verifies that none of the objects that make a user the last administrator can be removed.
func TestLastAdmin(t *testing.T) {
	guard(t)
	host(t)
	withoutAdmin(t)
	for name, subject := range map[string]func(*kubevisionv1alpha1.KubeVisionUser) kubevisionv1alpha1.Subject{
		"by name": byName, "by group": byGroup} {
		t.Run(name, func(t *testing.T) {
			u, b := newAdmin(t, subject)
			awaitLastAdmin(t, u.Name, b.Name)
			refused(t, "delete the user", deletion(u))
			refused(t, "disable the user", changing(u, disable))
			refused(t, "delete the binding", deletion(b))
			for what, how := range map[string]func(*kubevisionv1alpha1.KubeVisionRoleBinding){
				"another subject": func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
					b.Spec.Subjects = []kubevisionv1alpha1.Subject{grants.ToUser("somebody")}
				},
				"another role": func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
					b.Spec.RoleRef.Name = kubevisionv1alpha1.RoleOps
				},
				"a ClusterRole": func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
					b.Spec.RoleRef.Kind = kubevisionv1alpha1.RoleClusterRole
				},
				"a namespace": func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
					b.Spec.Namespaces = grants.Named("default")
				},
				"other clusters": func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
					b.Spec.Clusters = kubevisionv1alpha1.ClusterTargets{Names: []string{"elsewhere"}}
				},
			} {
				refused(t, what, changing(b, how))
			}
			accepted(t, "every cluster", changing(b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
				b.Spec.Clusters = kubevisionv1alpha1.ClusterTargets{Selector: &metav1.LabelSelector{}}
			}))
			accepted(t, "one subject more", changing(b, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) {
				b.Spec.Subjects = append(b.Spec.Subjects, grants.ToUser("somebody"))
			}))
			accepted(t, "another display name",
				changing(u, func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.DisplayName = "x" }))
			accepted(t, "a finalizer", changing(u,
				func(u *kubevisionv1alpha1.KubeVisionUser) { u.Finalizers = []string{"example.com/x"} }))
			leave := changing(u, func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.Groups = []string{"others"} })
			if name == "by group" {
				refused(t, "leave the group", leave)
			} else {
				accepted(t, "leave a group", leave)
			}

			allowRemovingLastAdmin(t, u)
			accepted(t, "delete the user all the same", deletion(u))
			accepted(t, "disable the user all the same", changing(u, disable))
			allowRemovingLastAdmin(t, b)
			accepted(t, "delete the binding all the same", deletion(b))
		})
	}
}

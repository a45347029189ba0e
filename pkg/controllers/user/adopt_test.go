// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package user_test

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/controllers/user"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

// restored contains a user and a role binding, as after a restore from a backup: the role binding has no owner.
type restored struct {
	fixture.Set

	user  *kubevisionv1alpha1.KubeVisionUser
	grant *kubevisionv1alpha1.KubeVisionRoleBinding
}

func newRestored(t *testing.T) restored {
	t.Helper()
	s := fixture.Set{Client: shared.Client(t)}
	u := &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("restored")}}
	s.Create(t, u)
	grant := &kubevisionv1alpha1.KubeVisionRoleBinding{
		ObjectMeta: metav1.ObjectMeta{
			Name: names.UserGrant(u.Name), Labels: map[string]string{names.UserLabel: u.Name},
		},
		Spec: kubevisionv1alpha1.KubeVisionRoleBindingSpec{
			Subjects: fixture.KubeVisionUsers(fixture.User{Name: u.Name}),
			RoleRef:  kubevisionv1alpha1.RoleReference{Name: kubevisionv1alpha1.RoleReadonly},
			Clusters: kubevisionv1alpha1.ClusterTargets{Names: []string{"none"}},
		},
	}
	s.Create(t, grant)
	return restored{Set: s, user: u, grant: grant}
}

// patchFunc is called instead of Patch of a client.
type patchFunc func(
	ctx context.Context, c client.WithWatch, o client.Object, patch client.Patch, options ...client.PatchOption,
) error

// reconcile calls Reconcile for the user, as if the cache contained the user with the given UID. The function patch
// may be nil.
func (r restored) reconcile(t *testing.T, uid types.UID, patch patchFunc) error {
	t.Helper()
	funcs := interceptor.Funcs{Patch: patch, Get: func(
		ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption,
	) error {
		err := c.Get(ctx, key, o, options...)
		if u, ok := o.(*kubevisionv1alpha1.KubeVisionUser); ok {
			u.UID = uid
			// Only this client sees the annotation, because controllers of other tests must not adopt the role binding.
			metav1.SetMetaDataAnnotation(&u.ObjectMeta, names.AdoptCredentialsAnnotation, "")
		}
		return err
	}}
	intercepted, err := client.NewWithWatch(shared.Cluster(t).Config(), client.Options{Scheme: r.Client.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	reconciler := &user.Reconciler{
		Client: interceptor.NewClient(intercepted, funcs), Live: r.Client, Recorder: events.NewFakeRecorder(1),
		Hasher: newHasher(t), Clock: clock.RealClock{},
	}
	_, err = reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(r.user)})
	return err
}

// reconcileAgain calls Reconcile until it succeeds, because other controllers may change the objects concurrently.
func (r restored) reconcileAgain(t *testing.T) {
	t.Helper()
	fixture.Eventually(t, "reconcile the user", func(context.Context) error { return r.reconcile(t, r.user.UID, nil) })
}

func (r restored) owners(t *testing.T) int {
	t.Helper()
	if err := r.Client.Get(t.Context(), client.ObjectKeyFromObject(r.grant), r.grant); err != nil {
		t.Fatal(err)
	}
	return len(r.grant.OwnerReferences)
}

// changeBefore returns a function that calls change before the first patch of an object of type T.
func changeBefore[T client.Object](change func(context.Context) error) patchFunc {
	done := false
	return func(
		ctx context.Context, c client.WithWatch, o client.Object, patch client.Patch, options ...client.PatchOption,
	) error {
		if _, ok := o.(T); ok && !done {
			done = true
			if err := change(ctx); err != nil {
				return err
			}
		}
		return c.Patch(ctx, o, patch, options...)
	}
}

// TestAdoptionForAnOlderUser verifies that the controller adopts no objects for a deleted user who is still in the
// controller's cache. Otherwise, Kubernetes would delete the adopted objects.
func TestAdoptionForAnOlderUser(t *testing.T) {
	r := newRestored(t)
	// The cache contains a user with the UID "older". That user was deleted and created again with another UID.
	if err := r.reconcile(t, "older", nil); err != nil || r.owners(t) != 0 {
		t.Errorf("an older user got the role binding: %v (%v)", r.grant.OwnerReferences, err)
	}
	r.reconcileAgain(t)
	if r.owners(t) != 1 {
		t.Error("the user did not get the role binding")
	}
}

// TestAdoptionOfChangedObjects verifies that an adoption fails, and is tried again, if an object changes between the
// read and the write.
func TestAdoptionOfChangedObjects(t *testing.T) {
	t.Run("another subject of the role binding", func(t *testing.T) {
		r := newRestored(t)
		addSubject := func(ctx context.Context) error {
			old := r.grant.DeepCopy()
			r.grant.Spec.Subjects = append(r.grant.Spec.Subjects,
				fixture.KubeVisionUsers(fixture.User{Name: "another"})...)
			return r.Client.Patch(ctx, r.grant, client.MergeFrom(old))
		}
		err := r.reconcile(t, r.user.UID, changeBefore[*kubevisionv1alpha1.KubeVisionRoleBinding](addSubject))
		if !apierrors.IsConflict(err) || r.owners(t) != 0 {
			t.Errorf("got %v, and the owners are %v", err, r.grant.OwnerReferences)
		}
		r.reconcileAgain(t)
		if r.owners(t) != 0 {
			t.Errorf("a binding with two subjects was adopted: %v", r.grant.OwnerReferences)
		}
	})
	t.Run("a password of the user", func(t *testing.T) {
		r := newRestored(t)
		source := newSource(t, r.Set, withPassword(newPassword()))
		old := source.DeepCopy()
		source.Labels = map[string]string{names.UserLabel: r.user.Name}
		if err := r.Client.Patch(t.Context(), source, client.MergeFrom(old)); err != nil {
			t.Fatal(err)
		}
		setPassword := func(ctx context.Context) error {
			old := r.user.DeepCopy()
			r.user.Spec.PasswordSecretRef = &kubevisionv1alpha1.SecretKeyReference{Name: source.Name}
			return r.Client.Patch(ctx, r.user, client.MergeFrom(old))
		}
		err := r.reconcile(t, r.user.UID, changeBefore[*kubevisionv1alpha1.KubeVisionUser](setPassword))
		if !apierrors.IsConflict(err) {
			t.Errorf("got %v", err)
		}
		r.reconcileAgain(t)
		found := &corev1.Secret{}
		if err := r.Client.Get(t.Context(), client.ObjectKeyFromObject(source), found); err != nil {
			t.Fatal(err)
		}
		if len(found.OwnerReferences) != 1 || found.OwnerReferences[0].UID != r.user.UID {
			t.Errorf("the password Secret belongs to %v", found.OwnerReferences)
		}
	})
}

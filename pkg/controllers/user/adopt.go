// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/controllers/condition"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// adopt sets u as the owner of objects that were restored from a backup: the credentials, the favorites, and the
// password Secret and the role binding that the dashboard's API had created for the user. It does nothing and returns
// false if u lacks the annotation names.AdoptCredentialsAnnotation.
//
// A restored KubeVisionUser has a new UID, and does not own the restored objects. They may belong to another person: a
// deleted user with the same name. With the annotation, an administrator confirms that both users are the same person.
// Admission rejects the annotation if the administrator may not bind all roles of the user.
func (r *Reconciler) adopt(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser) (bool, error) {
	if _, asked := u.Annotations[names.AdoptCredentialsAnnotation]; !asked {
		return false, nil
	}
	// The cache may contain an older user of the same name. Kubernetes would delete the objects of an owner that no
	// longer exists.
	current := &kubevisionv1alpha1.KubeVisionUser{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(u), current); err != nil {
		return true, client.IgnoreNotFound(err) //nolint:wrapcheck // it names the user
	}
	if current.UID != u.UID || !current.DeletionTimestamp.IsZero() {
		return true, nil // the event of the change triggers another reconciliation
	}
	// The favorites are adopted before the credentials, because a user who can log in could overwrite them. An error of
	// these objects does not prevent the login. The annotation remains, so that the adoption is tried again.
	failed := r.adoptDependents(ctx, u)
	adopted, err := r.adoptCredentials(ctx, u)
	if adopted {
		r.Recorder.Eventf(u, nil, corev1.EventTypeNormal, "CredentialsAdopted", "Reconcile",
			"the restored password and second factor are in force")
	}
	if err := errors.Join(failed, err); err != nil {
		return false, err
	}
	done := u.DeepCopy()
	delete(done.Annotations, names.AdoptCredentialsAnnotation)
	err = r.Client.Patch(ctx, done, client.MergeFromWithOptions(u, client.MergeFromWithOptimisticLock{}))
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("removing the annotation %s: %w", names.AdoptCredentialsAnnotation, err)
	}
	return true, nil
}

// adoptCredentials sets u as the owner of the credentials Secret. It returns false if the Secret does not exist, or if
// isOrphanedCredentials returns false for the Secret.
func (r *Reconciler) adoptCredentials(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser) (bool, error) {
	secret := &corev1.Secret{}
	err := r.Live.Get(ctx, types.NamespacedName{Namespace: names.Namespace, Name: names.CredentialsSecret(u.Name)},
		secret)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the restored credentials: %w", err)
	}
	if !isOrphanedCredentials(secret, u) {
		return false, nil
	}
	factor, err := credentials.ReadSecondFactor(secret)
	if err != nil {
		return false, err
	}
	// Logins, and the setup of a second factor, that were unfinished at the time of the backup must not continue.
	factor.Challenges, factor.Pending = nil, nil
	if err := factor.Write(secret); err != nil {
		return false, err
	}
	credentials.BeginEpoch(secret, "")
	secret.Labels[names.ManagedByLabel] = names.ManagedBy
	secret.OwnerReferences = controlledBy(u)
	if err := r.Client.Update(ctx, secret); err != nil {
		return false, fmt.Errorf("adopting the restored credentials: %w", err)
	}
	return true, nil
}

func isOrphanedCredentials(secret *corev1.Secret, u *kubevisionv1alpha1.KubeVisionUser) bool {
	return secret.Type == credentials.SecretType && isOrphan(secret, u)
}

// isOrphan returns true if the object has no owner, and the label kubevision.io/user contains the name of u. It returns
// false if the object is being deleted.
func isOrphan(o client.Object, u *kubevisionv1alpha1.KubeVisionUser) bool {
	// Backup programs such as Velero restore objects without owner references.
	return o.GetLabels()[names.UserLabel] == u.Name &&
		len(o.GetOwnerReferences()) == 0 && o.GetDeletionTimestamp().IsZero()
}

// adoptDependents adopts the favorites, the password Secret and the role binding. An error for one object does not
// prevent the adoption of the others.
func (r *Reconciler) adoptDependents(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser) error {
	favorites := &corev1.ConfigMap{}
	favorites.Namespace, favorites.Name = names.Namespace, names.FavoritesConfigMap(u.Name)
	failed := r.adoptOrphan(ctx, u, favorites, func() error {
		favorites.Labels[names.ManagedByLabel] = names.ManagedBy
		return r.Client.Update(ctx, favorites)
	})
	if ref := u.Spec.PasswordSecretRef; ref != nil && !names.IsOwnSecret(ref.Name) {
		password := &corev1.Secret{}
		password.Namespace, password.Name = names.Namespace, ref.Name
		failed = errors.Join(failed, r.adoptOrphan(ctx, u, password, func() error {
			return r.Client.Update(ctx, password)
		}))
	}
	grant := &kubevisionv1alpha1.KubeVisionRoleBinding{}
	grant.Name = names.UserGrant(u.Name)
	return errors.Join(failed, r.adoptOrphan(ctx, u, grant, func() error {
		if !isGrantOf(grant, u) {
			return nil // a binding with other subjects must not be deleted with the user
		}
		old := grant.DeepCopy()
		old.OwnerReferences = nil
		// The account of the controllers may patch role bindings, but not update them.
		return r.Client.Patch(ctx, grant, client.MergeFromWithOptions(old, client.MergeFromWithOptimisticLock{}))
	}))
}

// isGrantOf returns true if u is the only subject of the role binding.
func isGrantOf(b *kubevisionv1alpha1.KubeVisionRoleBinding, u *kubevisionv1alpha1.KubeVisionUser) bool {
	return len(b.Spec.Subjects) == 1 && b.Spec.Subjects[0].Kind == kubevisionv1alpha1.SubjectKubeVisionUser &&
		b.Spec.Subjects[0].Name == u.Name
}

// adoptOrphan reads the object o, sets an owner reference to the user u, and calls write to store the object. It does
// nothing if the object does not exist, or is no orphan. If the API server rejects the write, adoptOrphan reports the
// error in an event and returns nil, because another attempt would also be rejected.
func (r *Reconciler) adoptOrphan(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, o client.Object, write func() error,
) error {
	err := r.Live.Get(ctx, client.ObjectKeyFromObject(o), o)
	if err == nil && isOrphan(o, u) {
		o.SetOwnerReferences(kubevisionv1alpha1.OwnerReferences(kubevisionv1alpha1.KindUser, u))
		err = write()
	}
	switch {
	case err == nil, apierrors.IsNotFound(err):
		return nil
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err):
		r.Recorder.Eventf(u, nil, corev1.EventTypeWarning, "AdoptionFailed", "Reconcile",
			"%q was not adopted: correct the cause, and set the annotation %s again (%s)", o.GetName(),
			names.AdoptCredentialsAnnotation, condition.Truncate(err.Error()))
		return nil
	default:
		return fmt.Errorf("adopting %q from a backup: %w", o.GetName(), err)
	}
}

func controlledBy(u *kubevisionv1alpha1.KubeVisionUser) []metav1.OwnerReference {
	kind := kubevisionv1alpha1.SchemeGroupVersion.WithKind(kubevisionv1alpha1.KindUser)
	return []metav1.OwnerReference{*metav1.NewControllerRef(u, kind)}
}

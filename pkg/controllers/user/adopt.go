// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// adoptCredentials sets u as the owner of credentials and favorites that were restored from a backup. It does nothing
// and returns false if u lacks the annotation names.AdoptCredentialsAnnotation.
func (r *Reconciler) adoptCredentials(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser) (bool, error) {
	// A restored KubeVisionUser has a new UID, and does not own the restored credentials. They may belong to another
	// person: a deleted user with the same name. With the annotation, an administrator confirms that both users are the
	// same person. Admission rejects the annotation if the administrator may not bind all roles of the user.
	if _, asked := u.Annotations[names.AdoptCredentialsAnnotation]; !asked {
		return false, nil
	}
	if err := r.adoptDependents(ctx, u); err != nil {
		return false, err
	}
	secret := &corev1.Secret{}
	err := r.Live.Get(ctx, types.NamespacedName{Namespace: names.Namespace, Name: names.CredentialsSecret(u.Name)},
		secret)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading the restored credentials: %w", err)
	}
	adopted := err == nil && isOrphanedCredentials(secret, u)
	if adopted {
		if err := adopt(secret, u); err != nil {
			return false, err
		}
		if err := r.Client.Update(ctx, secret); err != nil {
			return false, fmt.Errorf("adopting the restored credentials: %w", err)
		}
	}
	done := u.DeepCopy()
	delete(done.Annotations, names.AdoptCredentialsAnnotation)
	if err := r.Client.Patch(ctx, done, client.MergeFrom(u)); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("removing the annotation %s: %w", names.AdoptCredentialsAnnotation, err)
	}
	if adopted {
		r.Recorder.Eventf(u, nil, corev1.EventTypeNormal, "CredentialsAdopted", "Reconcile",
			"the restored password and second factor are in force")
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

// adoptDependents sets u as the owner of the other restored objects that had belonged to the user: the favorites, and
// the password Secret and the role binding that the dashboard's API had created with the user.
func (r *Reconciler) adoptDependents(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser) error {
	favorites, password := &corev1.ConfigMap{}, &corev1.Secret{}
	for name, o := range map[string]client.Object{
		names.FavoritesConfigMap(u.Name): favorites, names.PasswordSecret(u.Name): password,
	} {
		err := r.adoptOrphan(ctx, u, types.NamespacedName{Namespace: names.Namespace, Name: name}, o, func() error {
			if o == favorites {
				favorites.Labels[names.ManagedByLabel] = names.ManagedBy
			}
			return r.Client.Update(ctx, o)
		})
		if err != nil {
			return err
		}
	}
	b := &kubevisionv1alpha1.KubeVisionRoleBinding{}
	return r.adoptOrphan(ctx, u, types.NamespacedName{Name: names.UserGrant(u.Name)}, b, func() error {
		old := b.DeepCopy()
		old.OwnerReferences = nil
		return r.Client.Patch(ctx, b, client.MergeFromWithOptions(old, client.MergeFromWithOptimisticLock{}))
	})
}

// adoptOrphan reads the object o with the given name, sets u as its owner, and calls write to store the change. It does
// nothing if the object does not exist, or is no orphan.
func (r *Reconciler) adoptOrphan(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, name types.NamespacedName, o client.Object,
	write func() error,
) error {
	err := r.Live.Get(ctx, name, o)
	if err == nil && isOrphan(o, u) {
		o.SetOwnerReferences(ownedBy(u))
		err = write()
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("adopting %s from a backup: %w", name, err)
	}
	return nil
}

func ownedBy(u *kubevisionv1alpha1.KubeVisionUser) []metav1.OwnerReference {
	return []metav1.OwnerReference{
		*metav1.NewControllerRef(u, kubevisionv1alpha1.SchemeGroupVersion.WithKind("KubeVisionUser")),
	}
}

func adopt(secret *corev1.Secret, u *kubevisionv1alpha1.KubeVisionUser) error {
	factor, err := credentials.ReadSecondFactor(secret)
	if err != nil {
		return err
	}
	// Logins, and the setup of a second factor, that were unfinished at the time of the backup must not continue.
	factor.Challenges, factor.Pending = nil, nil
	if err := factor.Write(secret); err != nil {
		return err
	}
	credentials.BeginEpoch(secret, "")
	secret.Labels[names.ManagedByLabel] = names.ManagedBy
	secret.OwnerReferences = ownedBy(u)
	return nil
}

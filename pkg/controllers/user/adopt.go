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
	if err := r.adoptFavorites(ctx, u); err != nil {
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

func (r *Reconciler) adoptFavorites(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser) error {
	favorites := &corev1.ConfigMap{}
	key := types.NamespacedName{Namespace: names.Namespace, Name: names.FavoritesConfigMap(u.Name)}
	err := r.Live.Get(ctx, key, favorites)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the favorites from a backup: %w", err)
	}
	if !isOrphan(favorites, u) {
		return nil
	}
	favorites.Labels[names.ManagedByLabel] = names.ManagedBy
	favorites.OwnerReferences = ownedBy(u)
	if err := r.Client.Update(ctx, favorites); err != nil {
		return fmt.Errorf("adopting the favorites from a backup: %w", err)
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

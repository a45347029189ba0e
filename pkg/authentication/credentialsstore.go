// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// CredentialsStore reads and writes the Secrets with the credentials of users.
type CredentialsStore struct {
	// Client reads and writes without a cache, because a cache could be outdated.
	Client client.Client
}

// get returns the Secret with the credentials of a user, or an empty Secret if there is none. It calls the API server
// even if the name is invalid, so that the duration does not reveal that there is no such user.
func (c *CredentialsStore) get(ctx context.Context, username string) (*corev1.Secret, error) {
	if len(utilvalidation.IsDNS1123Subdomain(username)) > 0 {
		username = "-"
	}
	secret := &corev1.Secret{}
	err := c.Client.Get(ctx, types.NamespacedName{Namespace: names.Namespace, Name: names.CredentialsSecret(username)},
		secret)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading the credentials: %w", err)
	}
	return secret, nil
}

// getOwn returns the Secret with the credentials of the caller. It returns ErrSessionEnded if a change of the password
// or the second factor has ended the session of the caller. Such a change ends all sessions of the user, except the
// session in which the user makes the change. getOwn also returns ErrSessionEnded if the Secret does not exist.
func (c *CredentialsStore) getOwn(ctx context.Context, p *Principal) (*corev1.Secret, error) {
	secret, err := c.get(ctx, p.User.Name)
	if err != nil {
		return nil, err
	}
	if !isOwnedBy(secret, p.User.UID) || !credentials.InForce(secret, p.Session, p.Epoch) {
		return nil, ErrSessionEnded
	}
	return secret, nil
}

// update calls change with the Secret that contains the credentials of a user, and returns the error of change. It
// stores the Secret if write is true. It returns ErrRevoked if the user with the UID has no credentials.
func (c *CredentialsStore) update(
	ctx context.Context, user string, uid types.UID, change func(*corev1.Secret) (write bool, err error),
) error {
	var verdict error
	// After a conflict, change checks the credentials that the other request has stored. Therefore, only one of several
	// concurrent requests with the same one-time code can succeed.
	err := retry.RetryOnConflict(conflictBackoff(), func() error {
		secret := &corev1.Secret{}
		err := c.Client.Get(ctx, types.NamespacedName{Namespace: names.Namespace, Name: names.CredentialsSecret(user)},
			secret)
		if apierrors.IsNotFound(err) || (err == nil && !isOwnedBy(secret, uid)) {
			return ErrRevoked
		}
		if err != nil {
			return fmt.Errorf("reading the credentials: %w", err)
		}
		// The Secret is also stored if change returns an error, for example to count a wrong code.
		var write bool
		write, verdict = change(secret)
		if !write {
			return nil
		}
		if err := c.Client.Update(ctx, secret); err != nil {
			return fmt.Errorf("writing the credentials: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return verdict
}

// updateOwn calls edit with the Secret that contains the credentials of the caller, and returns the error of edit. If
// edit returns true, updateOwn stores the Secret, even if edit also returns an error. After a conflict with another
// write, updateOwn reads the Secret and calls edit again.
//
// updateOwn returns ErrSessionEnded if a change of the password or the second factor has ended the session of the
// caller. The session object may still exist for a short time after such a change.
func (c *CredentialsStore) updateOwn(
	ctx context.Context, p *Principal, edit func(*corev1.Secret) (write bool, err error),
) error {
	err := c.update(ctx, p.User.Name, p.User.UID, func(secret *corev1.Secret) (bool, error) {
		if !credentials.InForce(secret, p.Session, p.Epoch) {
			return false, ErrSessionEnded
		}
		return edit(secret)
	})
	if errors.Is(err, ErrRevoked) { // The credentials were deleted, or belong to another user.
		return ErrSessionEnded
	}
	return err
}

// updateSecondFactor calls edit with the second factor of the caller, and returns the error of edit. If edit returns
// true, updateSecondFactor stores the second factor, even if edit also returns an error. After a conflict with another
// write, it reads the second factor and calls edit again.
//
// updateSecondFactor returns ErrSessionEnded if a change of the password or the second factor has ended the session of
// the caller.
func (c *CredentialsStore) updateSecondFactor(
	ctx context.Context, p *Principal, edit func(*credentials.SecondFactor) (write bool, err error),
) error {
	return c.updateOwn(ctx, p, func(secret *corev1.Secret) (bool, error) { return editSecondFactor(secret, edit) })
}

// editSecondFactor applies edit to the second factor in the Secret, and returns the results of edit. If the first
// result is true, the caller must store the Secret.
func editSecondFactor(
	secret *corev1.Secret, edit func(*credentials.SecondFactor) (write bool, err error),
) (bool, error) {
	factor, err := credentials.ReadSecondFactor(secret)
	if err != nil {
		return false, err
	}
	write, verdict := edit(factor)
	if !write {
		return false, verdict
	}
	if err := factor.Write(secret); err != nil {
		return false, err
	}
	return true, verdict
}

// readUser reads a user from the API server into u. It does not read a cache, because a cache may not show yet that the
// user was disabled. It returns ErrRevoked if the user may no longer log in.
func (c *CredentialsStore) readUser(
	ctx context.Context, name string, uid types.UID, u *kubevisionv1alpha1.KubeVisionUser,
) error {
	err := c.Client.Get(ctx, types.NamespacedName{Name: name}, u)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading the user: %w", err)
	}
	if err != nil || u.UID != uid || u.Spec.Disabled || !u.DeletionTimestamp.IsZero() {
		return ErrRevoked
	}
	return nil
}

// isOwnedBy returns true if the Secret belongs to the user with the UID. It returns false for the credentials of a
// deleted user with the same name.
func isOwnedBy(secret *corev1.Secret, uid types.UID) bool {
	owner := metav1.GetControllerOf(secret)
	return owner != nil && owner.UID == uid
}

func conflictBackoff() wait.Backoff {
	// These steps are sufficient if fifty clients send the same one-time code at the same time.
	return wait.Backoff{Steps: 15, Duration: 10 * time.Millisecond, Factor: 1.5, Jitter: 0.5, Cap: time.Second}
}

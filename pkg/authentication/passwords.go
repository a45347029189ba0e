// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/authentication/throttle"
)

// Passwords verifies, hashes and changes passwords.
type Passwords struct {
	Store    *CredentialsStore
	Sessions *SessionManager
	// Hasher hashes passwords with limited concurrency.
	Hasher *password.Hasher
	// Throttle delays attempts after wrong passwords.
	Throttle *throttle.Throttle
	Audit    *audit.Log
}

// ErrSamePassword is returned if the new password equals the current one.
var ErrSamePassword = errors.New("the new password equals the old one")

// Change replaces the password of the caller, and ends the other sessions of the caller. It returns
// ErrInvalidCredentials if the old password is wrong, and a throttle.BlockedError after too many wrong passwords. If
// the new password is not allowed, it returns a password.WeakError or ErrSamePassword.
func (s *Passwords) Change(ctx context.Context, p *Principal, old, replacement string, from Client) error {
	if err := s.confirm(ctx, p, old, from, audit.PasswordChangeRefused); err != nil {
		return err
	}
	u := p.User
	if err := password.CheckStrength(replacement, u.Name, u.Spec.DisplayName, u.Spec.Email); err != nil {
		return err
	}
	if old == replacement {
		return ErrSamePassword
	}
	hash, err := s.Hash(ctx, u.Name, replacement)
	if err != nil {
		return err
	}
	err = s.Store.updateOwn(ctx, p, func(secret *corev1.Secret) (bool, error) {
		if err := credentials.ReplacePassword(secret, hash, true); err != nil {
			return false, err
		}
		credentials.BeginEpoch(secret, p.Session)
		return true, nil
	})
	if err != nil {
		return err
	}
	s.Audit.Record(ctx, p.event(audit.PasswordChanged, from))
	return errors.Join(s.Sessions.update(ctx, p.Session, func(s *kubevisionv1alpha1.KubeVisionSessionSpec) {
		s.PasswordChangeRequired = false
	}),
		s.Sessions.endOthers(ctx, p))
}

// confirm verifies the password of a user who is already logged in. If the password is wrong, it records an audit event
// with the given reason, and returns ErrInvalidCredentials.
func (s *Passwords) confirm(ctx context.Context, p *Principal, pass string, from Client, reason audit.Reason) error {
	// Only wrong passwords in the same session block further attempts, so that failed logins of other clients do not
	// block the caller.
	attempt, err := s.Throttle.BeginSession(ctx, p.User, p.Session)
	if err != nil {
		return wrapBusy(err)
	}
	defer attempt.Release()
	secret, err := s.Store.getOwn(ctx, p)
	if err != nil {
		return err
	}
	hash, known, err := credentials.PasswordHash(secret)
	if err != nil {
		return err
	}
	right, err := s.compare(ctx, pass, hash, known)
	switch {
	case err != nil:
		return err
	case right:
		return attempt.Succeeded(ctx)
	}
	s.Audit.Record(ctx, p.event(reason, from))
	blocked, err := attempt.Failed(ctx)
	if err != nil {
		return err // The result must not be returned if the failure was not counted.
	}
	if blocked.Account > 0 {
		e := p.event(audit.PasswordChangeBlocked, from)
		e.Detail = "for " + blocked.Account.String()
		s.Audit.Record(ctx, e)
	}
	return ErrInvalidCredentials
}

// Hash hashes a new password. The caller is the user who sets the password, possibly for another user. Hash returns
// ErrBusy if too many passwords are waiting, or if the password waits longer than queueTime.
func (s *Passwords) Hash(ctx context.Context, caller, pass string) (password.Hash, error) {
	ctx, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	hash, err := s.Hasher.HashNew(ctx, caller, pass)
	if err != nil {
		return password.Hash{}, fmt.Errorf("hashing the password: %w", wrapBusy(err))
	}
	return hash, nil
}

// compare returns true if the password matches the hash. If there is no hash (hasHash is false), compare does the same
// work and returns false, so that its duration does not reveal that there is no hash.
func (s *Passwords) compare(ctx context.Context, pass string, hash password.Hash, hasHash bool) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	var err error
	if hasHash {
		err = s.Hasher.Verify(ctx, pass, hash)
	} else {
		err = s.Hasher.VerifyDummy(ctx, pass)
	}
	if errors.Is(err, password.ErrMismatch) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("verifying the password: %w", wrapBusy(err))
	}
	return true, nil
}

// upgrade replaces the stored hash of a password with a new hash that has the current cost. It does nothing if the
// password has changed meanwhile. It only logs errors, because the login must succeed nevertheless.
func (s *Passwords) upgrade(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, pass string, old password.Hash) {
	made, err := s.Hasher.Hash(ctx, pass)
	if err == nil {
		err = s.Store.update(ctx, u.Name, u.UID, func(secret *corev1.Secret) (bool, error) {
			if string(secret.Data[credentials.PasswordHashKey]) != old.String() {
				return false, nil
			}
			secret.Data[credentials.PasswordHashKey] = []byte(made.String())
			return true, nil
		})
	}
	if err != nil {
		klog.FromContext(ctx).Error(err, "Failed to upgrade the hash of a password", "user", u.Name)
	}
}

// wrapBusy wraps an error in ErrBusy if a queue was full or a deadline has passed. It returns other errors unchanged.
func wrapBusy(err error) error {
	if errors.Is(err, password.ErrBusy) || errors.Is(err, throttle.ErrBusy) ||
		errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return err
}

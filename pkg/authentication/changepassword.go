// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
)

// ErrSamePassword is returned when the new password equals the old one.
var ErrSamePassword = errors.New("the new password is the old one")

// ChangePassword replaces the caller's own password and ends the caller's other sessions. It returns a
// password.WeakError or ErrSamePassword for a new password that is not acceptable, ErrInvalidCredentials for a wrong
// old password, and a throttle.BlockedError after too many wrong ones.
func (l *Logins) ChangePassword(ctx context.Context, p *Principal, old, replacement string, from Client) error {
	if err := l.confirmPassword(ctx, p, old, from, audit.PasswordChangeRefused); err != nil {
		return err
	}
	u := p.User
	if err := password.CheckStrength(replacement, u.Name, u.Spec.DisplayName, u.Spec.Email); err != nil {
		return err
	}
	if old == replacement {
		return ErrSamePassword
	}
	hash, err := l.HashPassword(ctx, replacement)
	if err != nil {
		return err
	}
	err = l.updateOwnCredentials(ctx, p, func(secret *corev1.Secret) (bool, error) {
		if err := credentials.ReplacePassword(secret, hash, true); err != nil {
			return false, err
		}
		credentials.BeginEpoch(secret, p.Session)
		return true, nil
	})
	if err != nil {
		return err
	}
	l.Audit.Record(ctx, p.event(audit.PasswordChanged, from))
	return errors.Join(l.updateSession(ctx, p.Session, func(s *kubevisionv1alpha1.KubeVisionSessionSpec) { s.PasswordChangeRequired = false }),
		l.endOthers(ctx, p))
}

// confirmPassword compares the password of a caller who is logged in. refused is the audit reason for a wrong password.
// Failures count by session, so that failed logins of others cannot lock the caller out of this operation.
func (l *Logins) confirmPassword(ctx context.Context, p *Principal, pass string, from Client, refused audit.Reason) error {
	attempt, err := l.Throttle.BeginSession(ctx, p.User, p.Session)
	if err != nil {
		return wrapBusy(err)
	}
	defer attempt.Release()
	secret, err := l.ownCredentials(ctx, p)
	if err != nil {
		return err
	}
	hash, known, err := credentials.PasswordHash(secret)
	if err != nil {
		return err
	}
	right, err := l.compare(ctx, pass, hash, known)
	switch {
	case err != nil:
		return err
	case right:
		return attempt.Succeeded(ctx)
	}
	l.Audit.Record(ctx, p.event(refused, from))
	blocked, err := attempt.Failed(ctx)
	if err != nil {
		return err // without a count, the result must not be told
	}
	if blocked.Account > 0 {
		e := p.event(audit.PasswordChangeBlocked, from)
		e.Detail = "for " + blocked.Account.String()
		l.Audit.Record(ctx, e)
	}
	return ErrInvalidCredentials
}

// HashPassword hashes a new password. It returns ErrBusy if too many requests wait for the hasher.
func (l *Logins) HashPassword(ctx context.Context, pass string) (password.Hash, error) {
	ctx, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	hash, err := l.Hasher.Hash(ctx, pass)
	if err != nil {
		return password.Hash{}, fmt.Errorf("hashing the password: %w", wrapBusy(err))
	}
	return hash, nil
}

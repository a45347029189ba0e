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

// ErrSamePassword means that the new password is the old one.
var ErrSamePassword = errors.New("the new password is the old one")

// ChangePassword replaces the user's own password. It is a password.WeakError or ErrSamePassword for a new one that will not do,
// ErrInvalidCredentials for a wrong old one, and a throttle.BlockedError after too many of those. The user's other sessions end.
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
	err = l.changeOwn(ctx, p, func(secret *corev1.Secret) (bool, error) {
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
	return errors.Join(l.changeSession(ctx, p.Session, func(s *kubevisionv1alpha1.KubeVisionSessionSpec) { s.PasswordChangeRequired = false }),
		l.endOthers(ctx, p))
}

// confirmPassword compares the password of somebody who is logged in; refused is the event of a wrong one. It counts by session: whoever keeps
// the user from logging in must not keep them from this.
func (l *Logins) confirmPassword(ctx context.Context, p *Principal, pass string, from Client, refused audit.Reason) error {
	attempt, err := l.Throttle.BeginSession(ctx, p.User, p.Session)
	if err != nil {
		return busy(err)
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
		return err // what is not counted is not answered
	}
	if blocked.Account > 0 {
		e := p.event(audit.PasswordChangeBlocked, from)
		e.Detail = "for " + blocked.Account.String()
		l.Audit.Record(ctx, e)
	}
	return ErrInvalidCredentials
}

// HashPassword hashes a new password. It is ErrBusy where too many wait for the same.
func (l *Logins) HashPassword(ctx context.Context, pass string) (password.Hash, error) {
	ctx, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	hash, err := l.Hasher.Hash(ctx, pass)
	if err != nil {
		return password.Hash{}, fmt.Errorf("hashing the password: %w", busy(err))
	}
	return hash, nil
}

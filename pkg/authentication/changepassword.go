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
	u := p.User
	if err := password.CheckStrength(replacement, u.Name, u.Spec.DisplayName, u.Spec.Email); err != nil {
		return err
	}
	// A wrong old password counts like a wrong one at login, but by session: whoever keeps the user from logging in must not keep them from this.
	attempt, err := l.Throttle.BeginSession(ctx, p.Session)
	if err != nil {
		return busy(err)
	}
	defer attempt.Release()
	right, err := l.passwordIsRight(ctx, p, old)
	if err != nil {
		return err
	}
	if !right {
		if err := l.failed(ctx, attempt, u, from, audit.PasswordChangeRefused, nil); err != nil {
			return err // what is not counted is not answered
		}
		return ErrInvalidCredentials
	}
	if err := attempt.Succeeded(ctx); err != nil {
		return err
	}
	if old == replacement {
		return ErrSamePassword
	}
	hash, err := l.hash(ctx, replacement)
	if err != nil {
		return err
	}
	err = l.changeCredentials(ctx, u.Name, u.UID, func(secret *corev1.Secret) (bool, error) {
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

func (l *Logins) hash(ctx context.Context, pass string) (password.Hash, error) {
	ctx, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	hash, err := l.Hasher.Hash(ctx, pass)
	if err != nil {
		return password.Hash{}, fmt.Errorf("hashing the password: %w", busy(err))
	}
	return hash, nil
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/authentication/recoverycode"
	"github.com/kubevision-io/kubevision/pkg/authentication/totp"
	"github.com/kubevision-io/kubevision/pkg/names"
)

var (
	// ErrPasswordRequired means that a second factor is in force, and only the password lets it be replaced.
	ErrPasswordRequired = errors.New("the password is needed to replace a second factor")
	// ErrPolicy means that the user must keep a second factor.
	ErrPolicy = errors.New("the user must have a second factor")
)

// Enrolment is what a user gets when setting up a second factor, and never again.
type Enrolment struct {
	totp.Enrolment

	// RecoveryCodes are valid as soon as the second factor is.
	RecoveryCodes []string
}

// Setup makes a second factor that waits for Enable. One that is in force stays so until then, and asks for the password.
func (l *Logins) Setup(ctx context.Context, p *Principal, pass string) (*Enrolment, error) {
	made, err := totp.Enrol(p.User.Name)
	if err != nil {
		return nil, fmt.Errorf("making a second factor: %w", err)
	}
	codes, hashes, err := recoverycode.New(string(p.User.UID))
	if err != nil {
		return nil, err
	}
	right, err := l.passwordIsRight(ctx, p, pass)
	if err != nil {
		return nil, err
	}
	err = l.changeSecondFactor(ctx, p.User.Name, p.User.UID, func(f *credentials.SecondFactor) (bool, error) {
		if f.Enabled() {
			if pass == "" {
				return false, ErrPasswordRequired
			}
			if err := l.check(f, func() bool { return right }); err != nil {
				return true, err
			}
		}
		f.Pending = &credentials.PendingFactor{TOTPSecret: made.Secret, RecoveryCodes: hashes}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return &Enrolment{Enrolment: made, RecoveryCodes: codes}, nil
}

// passwordIsRight compares the password where one was given.
func (l *Logins) passwordIsRight(ctx context.Context, p *Principal, pass string) (bool, error) {
	if pass == "" {
		return false, nil
	}
	secret := &corev1.Secret{}
	if err := l.Client.Get(ctx, types.NamespacedName{Namespace: names.Namespace, Name: names.CredentialsSecret(p.User.Name)}, secret); err != nil {
		return false, fmt.Errorf("reading the credentials: %w", err)
	}
	hash, ok, err := credentials.PasswordHash(secret)
	if err != nil || !ok {
		return false, err
	}
	err = l.Hasher.Verify(ctx, pass, hash)
	if errors.Is(err, password.ErrMismatch) {
		return false, nil
	}
	return err == nil, err
}

// Enable puts the pending second factor into force, proved by its first code. The user's other sessions end: they were begun without it.
func (l *Logins) Enable(ctx context.Context, p *Principal, code string) error {
	err := l.changeSecondFactor(ctx, p.User.Name, p.User.UID, func(f *credentials.SecondFactor) (bool, error) {
		if f.Pending == nil {
			return false, ErrNoSecondFactor
		}
		var step int64
		err := l.check(f, func() (ok bool) {
			step, ok = totp.Check(code, f.Pending.TOTPSecret, 0, l.Clock.Now())
			return ok
		})
		if err == nil {
			f.TOTPSecret, f.RecoveryCodes, f.LastStep = f.Pending.TOTPSecret, f.Pending.RecoveryCodes, step
			f.Pending, f.Challenges = nil, nil
		}
		return true, err
	})
	if err != nil {
		return err
	}
	return errors.Join(l.raise(ctx, p), l.endOthers(ctx, p))
}

// Disable takes the second factor away, with one of its codes, unless the user must have one.
func (l *Logins) Disable(ctx context.Context, p *Principal, code string) error {
	if p.User.Spec.TwoFactor == kubevisionv1alpha1.TwoFactorRequired {
		return ErrPolicy
	}
	err := l.changeSecondFactor(ctx, p.User.Name, p.User.UID, func(f *credentials.SecondFactor) (bool, error) {
		if !f.Enabled() {
			return false, ErrNoSecondFactor
		}
		err := l.checkTOTP(f, code)
		if err == nil {
			// The last step stays: the code must not be good again if the same secret ever were.
			f.TOTPSecret, f.RecoveryCodes, f.Pending, f.Challenges = "", nil, nil, nil
		}
		return true, err
	})
	if err != nil {
		return err
	}
	return l.endOthers(ctx, p)
}

// RenewRecoveryCodes replaces the recovery codes, with a code of the second factor.
func (l *Logins) RenewRecoveryCodes(ctx context.Context, p *Principal, code string) ([]string, error) {
	codes, hashes, err := recoverycode.New(string(p.User.UID))
	if err != nil {
		return nil, err
	}
	err = l.changeSecondFactor(ctx, p.User.Name, p.User.UID, func(f *credentials.SecondFactor) (bool, error) {
		if !f.Enabled() {
			return false, ErrNoSecondFactor
		}
		err := l.checkTOTP(f, code)
		if err == nil {
			f.RecoveryCodes = hashes
		}
		return true, err
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}

// raise notes that the session has a second factor now.
func (l *Logins) raise(ctx context.Context, p *Principal) error {
	return retry.RetryOnConflict(contention(), func() error {
		s := &kubevisionv1alpha1.KubeVisionSession{}
		if err := l.Client.Get(ctx, types.NamespacedName{Name: p.Session}, s); err != nil {
			return fmt.Errorf("reading the session: %w", err)
		}
		if slices.Contains(s.Spec.AuthenticationMethods, methodOTP) {
			return nil
		}
		s.Spec.AuthenticationMethods = append(s.Spec.AuthenticationMethods, methodOTP)
		if err := l.Client.Update(ctx, s); err != nil {
			return fmt.Errorf("updating the session: %w", err)
		}
		return nil
	})
}

// endOthers ends the user's sessions but this one.
func (l *Logins) endOthers(ctx context.Context, p *Principal) error {
	var all kubevisionv1alpha1.KubeVisionSessionList
	if err := l.Client.List(ctx, &all, client.MatchingLabels{names.UserLabel: p.User.Name}); err != nil {
		return fmt.Errorf("listing sessions: %w", err)
	}
	var errs []error
	for i := range all.Items {
		if s := &all.Items[i]; s.Name != p.Session && s.Spec.UserUID == p.User.UID {
			if err := l.Client.Delete(ctx, s); client.IgnoreNotFound(err) != nil {
				errs = append(errs, fmt.Errorf("ending session %s: %w", s.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}

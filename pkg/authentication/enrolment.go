// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/recoverycode"
	"github.com/kubevision-io/kubevision/pkg/authentication/throttle"
	"github.com/kubevision-io/kubevision/pkg/authentication/totp"
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
func (l *Logins) Setup(ctx context.Context, p *Principal, pass string, from Client) (*Enrolment, error) {
	made, err := totp.Enrol(p.User.Name)
	if err != nil {
		return nil, fmt.Errorf("making a second factor: %w", err)
	}
	codes, hashes, err := recoverycode.New(string(p.User.UID))
	if err != nil {
		return nil, err
	}
	right, err := l.mayReplace(ctx, p, pass)
	if err != nil {
		return nil, err
	}
	err = l.changeSecondFactor(ctx, p, func(f *credentials.SecondFactor) (bool, error) {
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
	l.Audit.Record(ctx, p.event(audit.SecondFactorSetUp, from))
	return &Enrolment{Enrolment: made, RecoveryCodes: codes}, nil
}

// mayReplace compares the password where there is a second factor to replace, and where it may be looked at.
func (l *Logins) mayReplace(ctx context.Context, p *Principal, pass string) (bool, error) {
	secret, err := l.ownCredentials(ctx, p)
	if err != nil {
		return false, err
	}
	factor, err := credentials.ReadSecondFactor(secret)
	if err != nil || !factor.Enabled() || pass == "" {
		return false, err
	}
	if pause := codePolicy().Wait(throttle.Counter{Failures: factor.Failures, Last: factor.LastFailure}, l.Clock.Now()); pause > 0 {
		return false, &CodeError{RetryAfter: pause, reason: "too many were wrong"}
	}
	hash, known, err := credentials.PasswordHash(secret)
	if err != nil {
		return false, err
	}
	return l.compare(ctx, pass, hash, known)
}

// ownCredentials are those of somebody who is logged in, ErrRevoked where the session is over.
func (l *Logins) ownCredentials(ctx context.Context, p *Principal) (*corev1.Secret, error) {
	secret, err := l.credentials(ctx, p.User.Name)
	if err != nil {
		return nil, err
	}
	if !ownedBy(secret, p.User.UID) || !credentials.InForce(secret, p.Session, p.Epoch) {
		return nil, ErrRevoked
	}
	return secret, nil
}

// Enable puts the pending second factor into force, proved by its first code. The user's other sessions end: they were begun without it.
func (l *Logins) Enable(ctx context.Context, p *Principal, code string, from Client) error {
	err := l.changeFactor(ctx, p, from, func(f *credentials.SecondFactor) (changed bool, err error) {
		if f.Pending == nil {
			return false, ErrNoSecondFactor
		}
		var step int64
		err = l.check(f, func() (ok bool) {
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
	l.Audit.Record(ctx, p.event(audit.SecondFactorEnabled, from))
	return errors.Join(l.changeSession(ctx, p.Session, func(s *kubevisionv1alpha1.KubeVisionSessionSpec) {
		if !slices.Contains(s.AuthenticationMethods, methodOTP) {
			s.AuthenticationMethods = append(s.AuthenticationMethods, methodOTP)
		}
	}), l.endOthers(ctx, p))
}

// Disable takes the second factor away, with one of its codes, unless the user must have one. The user's other sessions end.
func (l *Logins) Disable(ctx context.Context, p *Principal, code string, from Client) error {
	required, err := l.Policy.Required(ctx, p.User)
	if err != nil {
		return err
	}
	if required {
		return ErrPolicy
	}
	err = l.changeFactor(ctx, p, from, func(f *credentials.SecondFactor) (bool, error) {
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
	l.Audit.Record(ctx, p.event(audit.SecondFactorDisabled, from))
	return errors.Join(l.changeSession(ctx, p.Session, func(s *kubevisionv1alpha1.KubeVisionSessionSpec) {
		s.AuthenticationMethods = slices.DeleteFunc(s.AuthenticationMethods, func(m string) bool { return m == methodOTP || m == methodRecovery })
	}), l.endOthers(ctx, p))
}

// changeFactor is changeSecondFactor for a change that ends the user's other sessions where it succeeds.
func (l *Logins) changeFactor(ctx context.Context, p *Principal, from Client, edit func(*credentials.SecondFactor) (bool, error)) error {
	err := l.changeOwn(ctx, p, func(secret *corev1.Secret) (bool, error) {
		write, err := change(secret, edit)
		if err == nil {
			credentials.BeginEpoch(secret, p.Session)
		}
		return write, err
	})
	l.codeRefused(ctx, p.User, from, err)
	return err
}

// RenewRecoveryCodes replaces the recovery codes, with a code of the second factor.
func (l *Logins) RenewRecoveryCodes(ctx context.Context, p *Principal, code string, from Client) ([]string, error) {
	codes, hashes, err := recoverycode.New(string(p.User.UID))
	if err != nil {
		return nil, err
	}
	err = l.changeSecondFactor(ctx, p, func(f *credentials.SecondFactor) (bool, error) {
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
		l.codeRefused(ctx, p.User, from, err)
		return nil, err
	}
	l.Audit.Record(ctx, p.event(audit.RecoveryCodesRenewed, from))
	return codes, nil
}

// event is something that the user did in the session.
func (p *Principal) event(reason audit.Reason, from Client) audit.Event {
	return audit.Event{Reason: reason, User: p.User, Session: p.Session, Address: from.address()}
}

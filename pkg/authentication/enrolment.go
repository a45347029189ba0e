// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/recoverycode"
	"github.com/kubevision-io/kubevision/pkg/authentication/totp"
)

// recently is the time after a login during which the user can set up a second factor without sending the password
// again. It applies only if the user has no second factor yet.
const recently = 5 * time.Minute

var (
	// ErrPasswordRequired is returned by SecondFactors.Setup if the required password is missing. Setup requires the
	// password if the user already has a second factor, or if the login is too old.
	ErrPasswordRequired = errors.New("the password is required to set up a second factor")
	// ErrPolicy is returned by SecondFactors.Disable if the user must have a second factor.
	ErrPolicy = errors.New("the user must have a second factor")
)

// Enrolment contains the secrets of a new second factor, which are shown to the user once.
type Enrolment struct {
	totp.Enrolment

	// RecoveryCodes contains the recovery codes of the new second factor in plain text. They become valid when
	// SecondFactors.Enable confirms the second factor.
	RecoveryCodes []string
}

// Setup creates a pending second factor. It becomes valid when the user confirms it with Enable in the same session.
// Until then, the current second factor remains valid. The password may be empty if the user has no second factor and
// has logged in within the last five minutes.
//
// Setup returns ErrPasswordRequired if the password is missing. If the password is wrong, Setup returns a CodeError, as
// Enable does for a wrong code. After too many wrong passwords, Setup returns a throttle.BlockedError.
func (s *SecondFactors) Setup(ctx context.Context, p *Principal, pass string, from Client) (*Enrolment, error) {
	if pass == "" && !s.mayEnrol(p) {
		return nil, ErrPasswordRequired
	}
	if pass != "" {
		err := s.Passwords.confirm(ctx, p, pass, from, audit.SecondFactorSetUpRefused)
		if errors.Is(err, ErrInvalidCredentials) { // Dashboards would log the user out after ErrInvalidCredentials.
			return nil, &CodeError{reason: "the password is wrong"}
		}
		if err != nil {
			return nil, err
		}
	}
	made, err := totp.Enrol(p.User.Name)
	if err != nil {
		return nil, fmt.Errorf("creating a second factor: %w", err)
	}
	codes, hashes, err := recoverycode.New(string(p.User.UID))
	if err != nil {
		return nil, err
	}
	err = s.Store.updateSecondFactor(ctx, p, func(f *credentials.SecondFactor) (bool, error) {
		if f.Enabled() && pass == "" {
			return false, ErrPasswordRequired
		}
		f.Pending = &credentials.PendingFactor{
			Session: p.Session, Expires: s.Clock.Now().Add(credentials.PendingTTL),
			TOTPSecret: made.Secret, RecoveryCodes: hashes,
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	s.Audit.Record(ctx, p.event(audit.SecondFactorSetUp, from))
	return &Enrolment{Enrolment: made, RecoveryCodes: codes}, nil
}

// mayEnrol returns true if the login is recent enough to set up a second factor without the password.
func (s *SecondFactors) mayEnrol(p *Principal) bool {
	age := s.Clock.Since(p.AuthTime)
	return !p.AuthTime.IsZero() && age <= recently
}

// Enable verifies a code of the pending second factor, and makes the pending second factor the current one. It ends the
// other sessions of the user, because they began without this second factor. It returns ErrNoSecondFactor if there is
// no pending second factor, and a CodeError if the code is wrong.
func (s *SecondFactors) Enable(ctx context.Context, p *Principal, code string, from Client) error {
	err := s.Store.updateOwn(ctx, p, func(secret *corev1.Secret) (bool, error) {
		return editSecondFactor(secret, func(f *credentials.SecondFactor) (bool, error) {
			pending := f.PendingIn(p.Session, s.Clock.Now())
			if pending == nil {
				return false, ErrNoSecondFactor
			}
			var step int64
			err := s.checkInSession(p, f, func() (ok bool) {
				step, ok = totp.Check(code, pending.TOTPSecret, 0, s.Clock.Now())
				return ok
			})
			if err == nil {
				f.TOTPSecret, f.RecoveryCodes, f.LastStep = pending.TOTPSecret, pending.RecoveryCodes, step
				f.Pending, f.Challenges, f.Verified = nil, nil, nil
				f.Failures, f.LastFailure = 0, time.Time{} // The failures belong to the previous secret.
				credentials.BeginEpoch(secret, p.Session)
			}
			return true, err
		})
	})
	if err != nil {
		return s.recordWrongCodeInSession(ctx, p, from, err)
	}
	s.Audit.Record(ctx, p.event(audit.SecondFactorEnabled, from))
	return errors.Join(s.Sessions.update(ctx, p.Session, func(s *kubevisionv1alpha1.KubeVisionSessionSpec) {
		if !slices.Contains(s.AuthenticationMethods, methodOTP) {
			s.AuthenticationMethods = append(s.AuthenticationMethods, methodOTP)
		}
	}), s.Sessions.endOthers(ctx, p))
}

// Disable verifies a code, removes the second factor, and ends the other sessions of the user. It returns ErrPolicy if
// the user must have a second factor, and a CodeError if the code is wrong.
func (s *SecondFactors) Disable(ctx context.Context, p *Principal, code string, from Client) error {
	required, err := s.Policy.Required(ctx, p.User)
	if err != nil {
		return err
	}
	if required {
		return ErrPolicy
	}
	err = s.updateWithCode(ctx, p, code, from, func(secret *corev1.Secret, f *credentials.SecondFactor) {
		// LastStep is not reset, so that a used code does not become valid again if the user sets up the same secret
		// again.
		f.TOTPSecret, f.RecoveryCodes, f.Pending, f.Challenges, f.Verified = "", nil, nil, nil, nil
		credentials.BeginEpoch(secret, p.Session)
	})
	if err != nil {
		return err
	}
	s.Audit.Record(ctx, p.event(audit.SecondFactorDisabled, from))
	return errors.Join(s.Sessions.update(ctx, p.Session, func(s *kubevisionv1alpha1.KubeVisionSessionSpec) {
		s.AuthenticationMethods = slices.DeleteFunc(s.AuthenticationMethods, func(m string) bool {
			return m == methodOTP || m == methodRecovery
		})
	}), s.Sessions.endOthers(ctx, p))
}

// RenewRecoveryCodes verifies a code of the second factor and returns new recovery codes. The old recovery codes are no
// longer valid.
func (s *SecondFactors) RenewRecoveryCodes(
	ctx context.Context, p *Principal, code string, from Client,
) ([]string, error) {
	codes, hashes, err := recoverycode.New(string(p.User.UID))
	if err != nil {
		return nil, err
	}
	err = s.updateWithCode(ctx, p, code, from, func(_ *corev1.Secret, f *credentials.SecondFactor) {
		f.RecoveryCodes = hashes
	})
	if err != nil {
		return nil, err
	}
	s.Audit.Record(ctx, p.event(audit.RecoveryCodesRenewed, from))
	return codes, nil
}

// event returns an audit event about the user and the session of the Principal.
func (p *Principal) event(reason audit.Reason, from Client) audit.Event {
	return audit.Event{Reason: reason, User: p.User, Session: p.Session, Address: from.address()}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/token"
)

// ChallengeError is returned for a login with a correct password, if the user must also send a code of the second
// factor.
type ChallengeError struct {
	// Token identifies the login. The client sends it together with the code.
	Token string
}

// Error implements error. The text does not contain the token.
func (*ChallengeError) Error() string { return "a second factor is required" }

// challenge stores a login that waits for a code of the second factor. It always returns an error. If the login was
// stored, the error is a ChallengeError with the token of the login.
func (s *SecondFactors) challenge(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, epoch string) error {
	id := rand.Text()
	raw, err := s.Challenges.Sign(token.Claims{Subject: u.Name, UserUID: string(u.UID), Session: id,
		Methods: []string{methodPassword}})
	if err != nil {
		return fmt.Errorf("signing a challenge: %w", err)
	}
	err = s.Store.update(ctx, u.Name, u.UID, func(secret *corev1.Secret) (bool, error) {
		if credentials.Epoch(secret) != epoch { // The credentials have changed since the password was verified.
			return false, ErrRevoked
		}
		return editSecondFactor(secret, func(f *credentials.SecondFactor) (bool, error) {
			f.AddChallenge(id, s.Clock.Now())
			return true, nil
		})
	})
	if err != nil {
		return err
	}
	return &ChallengeError{Token: raw}
}

// VerifyTOTP completes a login, and returns a session. challenge must be the token of a ChallengeError, or a
// Session.SetupToken. For the token of a ChallengeError, VerifyTOTP verifies the one-time code. For a SetupToken, it
// ignores the code, because the user has no second factor yet. The session for a SetupToken allows only the set-up of a
// second factor.
func (s *SecondFactors) VerifyTOTP(ctx context.Context, challenge, code string, from Client) (*Session, error) {
	// A dashboard that asks for a code after every login may send a set-up token here.
	if session, err := s.Sessions.startFromSetup(ctx, challenge, from); !errors.Is(err, errNoSetupToken) {
		return session, err
	}
	return s.verifyChallenge(ctx, challenge, methodOTP, from, func(f *credentials.SecondFactor, _ types.UID) error {
		return s.checkTOTP(f, code)
	})
}

// VerifyRecoveryCode completes a login, and returns a session. challenge must be the token of a ChallengeError, or a
// Session.SetupToken. The code is verified only for the token of a ChallengeError. A user with a SetupToken has no
// recovery codes yet.
func (s *SecondFactors) VerifyRecoveryCode(ctx context.Context, challenge, code string, from Client) (*Session, error) {
	if session, err := s.Sessions.startFromSetup(ctx, challenge, from); !errors.Is(err, errNoSetupToken) {
		return session, err
	}
	return s.verifyChallenge(ctx, challenge, methodRecovery, from,
		func(f *credentials.SecondFactor, uid types.UID) error {
			return s.checkRecovery(f, uid, code)
		})
}

// verifyChallenge verifies a challenge token, calls check to verify the code of the user, and starts a session. It
// returns these errors:
//   - token.ErrExpired if the token has expired
//   - ErrRevoked if the token is invalid or the user may no longer log in
//   - a CodeError if the code is wrong or the challenge no longer exists
//   - a throttle.BlockedError after too many requests with the same token
func (s *SecondFactors) verifyChallenge(
	ctx context.Context, challenge, method string, from Client, check func(*credentials.SecondFactor, types.UID) error,
) (*Session, error) {
	claims, err := s.Challenges.Verify(challenge)
	if errors.Is(err, token.ErrExpired) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRevoked, err)
	}
	// A login that waits for a code has the same limit as a session.
	if err := s.Sessions.countGenuine(claims.Session); err != nil {
		return nil, err
	}
	u := &kubevisionv1alpha1.KubeVisionUser{}
	if err := s.Store.readUser(ctx, claims.Subject, types.UID(claims.UserUID), u); err != nil {
		return nil, err
	}
	name, err := s.Sessions.newName()
	if err != nil {
		return nil, err
	}
	var answered *corev1.Secret
	err = s.Store.update(ctx, u.Name, u.UID, func(secret *corev1.Secret) (bool, error) {
		answered = secret
		return editSecondFactor(secret, func(f *credentials.SecondFactor) (bool, error) {
			open := f.Challenge(claims.Session, s.Clock.Now())
			// The challenge was completed, tried too often, or replaced by later challenges.
			if open == nil || !f.Enabled() {
				return false, &CodeError{reason: "the challenge was answered before, failed too often, or has expired"}
			}
			open.Tries++
			err := check(f, u.UID)
			if err == nil {
				f.RemoveChallenge(claims.Session)
			}
			if err == nil && method == methodOTP && s.LoginCodeTTL > 0 {
				f.Verify(name, s.Clock.Now(), s.LoginCodeTTL)
			}
			return true, err
		})
	})
	if err != nil {
		s.recordWrongCode(ctx, u, from, err)
		return nil, err
	}
	if method == methodRecovery {
		s.Audit.Record(ctx, audit.Event{Reason: audit.RecoveryCodeUsed, User: u, Address: from.address()})
	}
	return s.Sessions.startNamed(ctx, name, u, answered, []string{methodPassword, method}, from)
}

// recordWrongCode writes an event to the audit log if err is a CodeError. The event does not contain the code.
func (s *SecondFactors) recordWrongCode(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, from Client, err error,
) {
	e, ok := errors.AsType[*CodeError](err)
	if !ok {
		return
	}
	s.Audit.Record(ctx, audit.Event{Reason: audit.SecondFactorFailed, User: u, Address: from.address(),
		Detail: e.reason})
	if e.RetryAfter > 0 { // Further codes are blocked for this time.
		s.Audit.Record(ctx, audit.Event{Reason: audit.SecondFactorBlocked, User: u, Address: from.address(),
			Detail: "for " + e.RetryAfter.Round(time.Second).String()})
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
)

// ErrFreshCodeRequired is returned for a sensitive operation without a code. It is not returned if the user has no
// second factor, or if the session is verified (see Reverify).
var ErrFreshCodeRequired = errors.New("a fresh code is required")

// VerifyFreshCode verifies a code of the second factor before a sensitive operation. A code can be used only once. No
// code is required if the user has no second factor, or if the session is marked as verified, for example by Reverify.
// VerifyFreshCode returns these errors:
//   - ErrFreshCodeRequired if a required code is missing
//   - a CodeError if the code is wrong or was used before
func (s *SecondFactors) VerifyFreshCode(ctx context.Context, p *Principal, code string, from Client) error {
	var reason audit.Reason
	err := s.Store.updateSecondFactor(ctx, p, func(f *credentials.SecondFactor) (bool, error) {
		reason = ""
		switch {
		case !f.Enabled():
			return false, nil
		case code == "" && f.IsVerified(p.Session, s.Clock.Now()):
			reason = audit.VerifiedSessionUsed
			return false, nil
		case code == "":
			return false, ErrFreshCodeRequired
		default:
			reason = audit.SecondFactorVerified
			return true, s.checkInSession(p, f, func() bool { return s.spend(f, code) })
		}
	})
	if err != nil {
		return s.recordWrongCodeInSession(ctx, p, from, err)
	}
	if reason != "" {
		s.Audit.Record(ctx, p.event(reason, from))
	}
	return nil
}

// Reverify verifies a code, and marks the session as verified. Sensitive operations in this session then need no code
// for the duration credentials.VerifiedTTL. Reverify returns a CodeError if the code is wrong.
func (s *SecondFactors) Reverify(ctx context.Context, p *Principal, code string, from Client) error {
	err := s.updateWithCode(ctx, p, code, from, func(_ *corev1.Secret, f *credentials.SecondFactor) {
		f.Verify(p.Session, s.Clock.Now(), credentials.VerifiedTTL)
	})
	if err != nil {
		return err
	}
	s.Audit.Record(ctx, p.event(audit.SessionVerified, from))
	return nil
}

// checkInSession verifies a code that a user enters in a session. If the code is wrong, checkInSession counts the code
// and returns a CodeError. After too many wrong codes, it returns a CodeError without verifying the code. Wrong codes
// in a session do not delay logins, so that the holder of a stolen access token cannot prevent logins of the user.
func (s *SecondFactors) checkInSession(p *Principal, f *credentials.SecondFactor, verify func() bool) error {
	now := s.Clock.Now()
	if f.InSessions.Exhausted(p.Session, now) {
		return &CodeError{reason: "too many wrong codes in this session", over: true}
	}
	if pause := f.InSessions.Wait(p.Session, now); pause > 0 {
		return &CodeError{RetryAfter: pause, reason: "too many codes were wrong"}
	}
	if verify() {
		return nil
	}
	f.InSessions.Add(p.Session, now)
	return &CodeError{
		RetryAfter: f.InSessions.Wait(p.Session, now), reason: "the code is wrong, has expired or was used before",
		over: f.InSessions.Exhausted(p.Session, now),
	}
}

// recordWrongCodeInSession records in the audit log that a code of the second factor was rejected, and returns err. The
// audit log does not contain the code. After too many wrong codes, recordWrongCodeInSession also deletes the session.
// If err is not a CodeError, no code was rejected, and recordWrongCodeInSession only returns err.
func (s *SecondFactors) recordWrongCodeInSession(ctx context.Context, p *Principal, from Client, err error) error {
	e, ok := errors.AsType[*CodeError](err)
	if !ok {
		return err
	}
	failed := p.event(audit.FreshCodeFailed, from)
	failed.Detail = e.reason
	s.Audit.Record(ctx, failed)
	if e.RetryAfter > 0 && !e.over {
		blocked := p.event(audit.FreshCodeBlocked, from)
		blocked.Detail = "for " + e.RetryAfter.Round(time.Second).String()
		s.Audit.Record(ctx, blocked)
	}
	if !e.over {
		return err
	}
	session := &kubevisionv1alpha1.KubeVisionSession{ObjectMeta: metav1.ObjectMeta{Name: p.Session}}
	if deleteErr := s.Sessions.Client.Delete(ctx, session); client.IgnoreNotFound(deleteErr) != nil {
		// The session now rejects all codes. When the client sends another code, the deletion is tried again.
		return errors.Join(err, fmt.Errorf("ending the session: %w", deleteErr))
	}
	ended := p.event(audit.SessionEnded, from)
	ended.Detail = "too many wrong codes"
	s.Audit.Record(ctx, ended)
	return err
}

// updateWithCode verifies a code of the second factor. If the code is valid, it edits the credentials and stores them.
// It returns ErrNoSecondFactor if the user has no second factor, and a CodeError if the code is wrong.
func (s *SecondFactors) updateWithCode(
	ctx context.Context, p *Principal, code string, from Client, edit func(*corev1.Secret, *credentials.SecondFactor),
) error {
	err := s.Store.updateOwn(ctx, p, func(secret *corev1.Secret) (bool, error) {
		return editSecondFactor(secret, func(f *credentials.SecondFactor) (bool, error) {
			if !f.Enabled() {
				return false, ErrNoSecondFactor
			}
			err := s.checkInSession(p, f, func() bool { return s.spend(f, code) })
			if err == nil {
				edit(secret, f)
			}
			return true, err
		})
	})
	if err != nil {
		return s.recordWrongCodeInSession(ctx, p, from, err)
	}
	return nil
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"errors"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/recoverycode"
	"github.com/kubevision-io/kubevision/pkg/authentication/throttle"
	"github.com/kubevision-io/kubevision/pkg/authentication/token"
	"github.com/kubevision-io/kubevision/pkg/authentication/totp"
)

// Authentication method references (RFC 8176). The RFC defines none for recovery codes.
const (
	methodPassword = "pwd"
	methodOTP      = "otp"
	methodRecovery = "recovery"
)

// codePolicy returns the policy for codes. The tries of two challenges cause no delay. Failures are not forgiven with
// time, because six digits are easy to guess.
func codePolicy() throttle.Policy { return throttle.Policy{Free: 2 * credentials.ChallengeTries} }

// ErrNoSecondFactor is returned when the user has no second factor.
var ErrNoSecondFactor = errors.New("the user has no second factor")

// SecondFactors sets up second factors, and verifies codes in logins and in sessions.
type SecondFactors struct {
	Store     *CredentialsStore
	Sessions  *SessionManager
	Passwords *Passwords
	// Policy decides which users must have a second factor.
	Policy *TwoFactorPolicy
	// Challenges signs and verifies challenge tokens.
	Challenges *token.Service
	// LoginCodeTTL is the time after a login for which its one-time code replaces fresh codes. Zero means that each
	// sensitive operation requires a fresh code.
	LoginCodeTTL time.Duration
	Audit        *audit.Log
	Clock        clock.PassiveClock
}

// CodeError is returned for a code that is wrong, was used before, or follows too many wrong codes. Callers cannot
// distinguish these cases.
type CodeError struct {
	// RetryAfter is the time for which codes are rejected without a check. It is 0 if the next code may be tried
	// immediately.
	RetryAfter time.Duration

	reason string
	// over is true if the session has ended.
	over bool
}

// Error implements error.
func (e *CodeError) Error() string { return "the code is not accepted" }

// HasSecondFactor returns true if the methods include more than the password.
func HasSecondFactor(methods []string) bool {
	return slices.Contains(methods, methodOTP) || slices.Contains(methods, methodRecovery)
}

// check verifies a code of a login, and counts a wrong code. The caller must write the result before it grants access.
func (s *SecondFactors) check(factor *credentials.SecondFactor, verify func() bool) error {
	now := s.Clock.Now()
	counter := throttle.Counter{Failures: factor.Failures, Last: factor.LastFailure}
	if pause := codePolicy().Wait(counter, now); pause > 0 {
		return &CodeError{RetryAfter: pause, reason: "too many codes were wrong"}
	}
	if verify() {
		factor.Failures, factor.LastFailure = 0, time.Time{}
		return nil
	}
	counter = codePolicy().Add(counter, now)
	factor.Failures, factor.LastFailure = counter.Failures, counter.Last
	return &CodeError{
		RetryAfter: codePolicy().Wait(counter, now), reason: "the code is wrong, has expired or was used before",
	}
}

// checkTOTP accepts a code of the current secret for a login. Each code is accepted once.
func (s *SecondFactors) checkTOTP(factor *credentials.SecondFactor, code string) error {
	return s.check(factor, func() bool { return s.spend(factor, code) })
}

// spend returns true if a code of the current secret is correct. The code is not accepted again for any operation.
func (s *SecondFactors) spend(factor *credentials.SecondFactor, code string) bool {
	step, ok := totp.Check(code, factor.TOTPSecret, factor.LastStep, s.Clock.Now())
	if ok {
		factor.LastStep = step
	}
	return ok
}

// checkRecovery accepts a recovery code. Each code is accepted once.
func (s *SecondFactors) checkRecovery(factor *credentials.SecondFactor, uid types.UID, code string) error {
	return s.check(factor, func() bool {
		rest, ok := recoverycode.Redeem(factor.RecoveryCodes, string(uid), code)
		if ok {
			factor.RecoveryCodes = rest
		}
		return ok
	})
}

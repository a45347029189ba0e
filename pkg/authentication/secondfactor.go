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

// Values of the claim amr, which contains authentication methods (RFC 8176). The RFC defines no value for recovery
// codes.
const (
	methodPassword = "pwd"
	methodOTP      = "otp"
	methodRecovery = "recovery"
)

func codePolicy() throttle.Policy {
	// Users may enter five codes in each of two logins. Wrong codes count until a correct one, so that slow guessing
	// does not help.
	return throttle.Policy{Free: 2 * credentials.ChallengeTries}
}

// ErrNoSecondFactor is returned if the user has no second factor, but the operation requires one. SecondFactors.Enable
// also returns it if the session has no pending second factor.
var ErrNoSecondFactor = errors.New("the user has no second factor")

// SecondFactors creates and removes second factors, and verifies their codes in logins and sessions.
type SecondFactors struct {
	Store     *CredentialsStore
	Sessions  *SessionManager
	Passwords *Passwords
	// Policy decides which users must have a second factor.
	Policy *TwoFactorPolicy
	// Challenges signs and verifies the tokens of logins that wait for a code.
	Challenges *token.Service
	// LoginCodeTTL is the time after a login with a one-time code during which sensitive operations need no further
	// code. If it is zero, the code of the login does not count for sensitive operations.
	LoginCodeTTL time.Duration
	Audit        *audit.Log
	Clock        clock.PassiveClock
}

// CodeError is returned for a code that is wrong, was used before, or was rejected because of earlier wrong codes. Its
// text is the same in all cases.
type CodeError struct {
	// RetryAfter is the time for which further codes are rejected without a check, or 0.
	RetryAfter time.Duration

	reason string
	// over is true if the session must be ended.
	over bool
}

// Error implements error.
func (e *CodeError) Error() string { return "the code is not accepted" }

// HasSecondFactor returns true if the authentication methods include a one-time code or a recovery code.
func HasSecondFactor(methods []string) bool {
	return slices.Contains(methods, methodOTP) || slices.Contains(methods, methodRecovery)
}

// check verifies a code that a user enters in a login. A correct code resets the number of failures. A wrong code
// increases the number, and check returns a CodeError. After too many failures, check returns a CodeError without
// verifying the code. The caller must store the changed factor before it grants access.
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

// checkTOTP returns nil if the code is valid for a login. After checkTOTP returns nil, the code is no longer valid.
func (s *SecondFactors) checkTOTP(factor *credentials.SecondFactor, code string) error {
	return s.check(factor, func() bool { return s.spend(factor, code) })
}

// spend returns true if the code is valid, and records that it was used. After spend returns true, the code is not
// valid for any operation.
func (s *SecondFactors) spend(factor *credentials.SecondFactor, code string) bool {
	step, ok := totp.Check(code, factor.TOTPSecret, factor.LastStep, s.Clock.Now())
	if ok {
		factor.LastStep = step
	}
	return ok
}

// checkRecovery returns nil if the recovery code is valid for a login. After checkRecovery returns nil, the code is no
// longer valid.
func (s *SecondFactors) checkRecovery(factor *credentials.SecondFactor, uid types.UID, code string) error {
	return s.check(factor, func() bool {
		rest, ok := recoverycode.Redeem(factor.RecoveryCodes, string(uid), code)
		if ok {
			factor.RecoveryCodes = rest
		}
		return ok
	})
}

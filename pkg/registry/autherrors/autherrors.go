// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package autherrors converts errors of package authentication to errors with a code.
package autherrors

import (
	"errors"
	"math"
	"time"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/authentication/throttle"
	"github.com/kubevision-io/kubevision/pkg/authentication/token"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// newPassword is the name of the request field that contains the new password.
const newPassword = "newPassword"

const busy = "too many logins or new passwords at once: try again shortly"

// Map converts an error of package authentication to an error with a code and a message for the client. It returns all
// other errors unchanged.
func Map(err error) error {
	if e, ok := errors.AsType[*authentication.ChallengeError](err); ok {
		due := envelope.New(dashboardv1alpha1.CodeTwoFactorRequired,
			"a second factor is required: send a code with the session token")
		due.Data = dashboardv1alpha1.TwoFactorChallenge{Requires2FA: true, SessionToken: e.Token, TempToken: e.Token}
		return due
	}
	if e, ok := errors.AsType[*authentication.CodeError](err); ok {
		failed := envelope.New(dashboardv1alpha1.CodeTwoFactorFailed,
			"the code or the password is wrong, the code has expired or was used before, or there were too many tries")
		failed.RetryAfterSeconds = seconds(e.RetryAfter)
		return failed
	}
	if e, ok := errors.AsType[*throttle.BlockedError](err); ok {
		return tooMany("too many attempts have failed: try again later", e.RetryAfter)
	}
	if e, ok := errors.AsType[*throttle.BusyError](err); ok {
		return tooMany(busy, e.RetryAfter)
	}
	if e, ok := errors.AsType[*password.WeakError](err); ok {
		return envelope.Invalid(newPassword, "%s", e.Error())
	}
	return mapSentinel(err)
}

func mapSentinel(err error) error {
	switch {
	case errors.Is(err, authentication.ErrInvalidCredentials):
		return envelope.New(dashboardv1alpha1.CodeUnauthenticated, "wrong user name or password")
	case errors.Is(err, token.ErrExpired), errors.Is(err, authentication.ErrExpired):
		return envelope.TokenExpired().WithCause(err)
	case errors.Is(err, authentication.ErrSessionEnded):
		return envelope.SessionEnded().WithCause(err)
	case errors.Is(err, authentication.ErrRevoked):
		return envelope.New(dashboardv1alpha1.CodeUnauthenticated,
			"the token is not valid: log in again").WithCause(err)
	case errors.Is(err, authentication.ErrNoSecondFactor):
		return envelope.New(dashboardv1alpha1.CodeConflict, "you have no second factor: set one up first")
	case errors.Is(err, authentication.ErrPolicy):
		return envelope.New(dashboardv1alpha1.CodeConflict,
			"you must have a second factor: your administrator requires it")
	case errors.Is(err, authentication.ErrPasswordRequired):
		e := reverify("send your password: it is required if a second factor is in force, or if your login is older " +
			"than five minutes")
		e.Field = "password"
		return e
	case errors.Is(err, authentication.ErrFreshCodeRequired):
		return reverify("a fresh code of your second factor is required: send it in the header " +
			dashboardv1alpha1.CodeHeader + " or as " + dashboardv1alpha1.CodeField +
			" in the body, or verify the session for five minutes with POST /auth/2fa/reverify")
	case errors.Is(err, authentication.ErrSamePassword):
		return envelope.Invalid(newPassword, "the new password equals the old one")
	case errors.Is(err, authentication.ErrBusy):
		return tooMany(busy, time.Second)
	default:
		return err
	}
}

// SetupRequired returns the error for a session that allows only the set-up of a second factor. code is the code of the
// error.
func SetupRequired(code dashboardv1alpha1.Code) *envelope.Error {
	e := envelope.New(code,
		"you must set up a second factor before any other request: within five minutes of the login in "+
			"the dashboard's security settings, or with POST /auth/2fa/setup")
	e.Data = dashboardv1alpha1.TwoFactorChallenge{SetupRequired: true}
	return e
}

// PasswordChangeRequired returns the error for a session that allows only a change of the password. Its code is 40900
// instead of 40300, because dashboards display the message of an error with 40900.
func PasswordChangeRequired() *envelope.Error {
	e := envelope.New(dashboardv1alpha1.CodeConflict, "you must change your password before any other request: in the "+
		"dashboard's security settings, or with PUT /users/me/password")
	e.Data = dashboardv1alpha1.PasswordChangeRequired{PasswordChangeRequired: true}
	return e
}

func reverify(message string) *envelope.Error {
	e := envelope.New(dashboardv1alpha1.CodeTwoFactorRequired, "%s", message)
	e.Data = dashboardv1alpha1.TwoFactorChallenge{Reverify: true}
	return e
}

func tooMany(message string, after time.Duration) error {
	e := envelope.New(dashboardv1alpha1.CodeTooManyRequests, "%s", message)
	e.RetryAfterSeconds = seconds(after)
	return e
}

func seconds(d time.Duration) int64 { return int64(math.Ceil(d.Seconds())) }

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package envelope writes the response of every request below the API's prefixes: {code, message, data, meta} over HTTP
// 200. No other package writes responses there.
package envelope

import (
	"context"
	"errors"
	"fmt"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
)

// Error is an outcome other than success. Its message may be sent to the caller. Its cause is only logged.
type Error struct {
	Code    dashboardv1alpha1.Code
	Message string
	// Field is the missing or malformed part of the request.
	Field string
	// RetryAfterSeconds is the time after which the caller may retry.
	RetryAfterSeconds int64
	// Data is the data of the envelope.
	Data any

	cause error
}

// Error returns the message, the code and the cause. It is intended for logs and must not be sent to the caller.
func (e *Error) Error() string {
	if e.cause == nil {
		return fmt.Sprintf("%d: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%d: %s: %v", e.Code, e.Message, e.cause)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// New returns an error with a code and a message that is safe to send.
func New(code dashboardv1alpha1.Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithCause adds the cause, which is only logged.
func (e *Error) WithCause(cause error) *Error {
	e.cause = cause
	return e
}

// Required returns the error of a missing or empty field, query parameter or path value.
func Required(field string) *Error {
	return &Error{Code: dashboardv1alpha1.CodeRequired, Message: field + " is required", Field: field}
}

// Invalid returns the error of a malformed field, query parameter or path value. The message should describe a valid
// value.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Code: dashboardv1alpha1.CodeInvalid, Message: fmt.Sprintf(format, args...), Field: field}
}

// Unauthenticated returns the error of a request without a valid credential.
func Unauthenticated() *Error {
	return New(dashboardv1alpha1.CodeUnauthenticated, "not logged in: send a valid access token")
}

// TokenExpired returns the error of a genuine token that has expired.
func TokenExpired() *Error {
	return New(dashboardv1alpha1.CodeTokenExpired, "the token has expired: refresh it or log in again")
}

// SessionEnded returns the error for an access token whose session has ended. It has the code of an expired token,
// because a dashboard then tries to refresh the token, fails, and shows its login.
func SessionEnded() *Error {
	return New(dashboardv1alpha1.CodeTokenExpired, "the session has ended: log in again")
}

// Internal hides an unexpected cause behind a message without details.
func Internal(cause error) *Error {
	return New(dashboardv1alpha1.CodeInternal,
		"internal server error: report the request id to your administrator").WithCause(cause)
}

// Late returns the error of a request that was not completed in time, because the host or a cluster was slow.
func Late(cause error) *Error {
	return New(dashboardv1alpha1.CodeUnreachable,
		"the request timed out, because the host or a cluster was slow: try again").WithCause(cause)
}

// IsGone returns true if the client of a request has disconnected.
func IsGone(ctx context.Context) bool { return errors.Is(context.Cause(ctx), context.Canceled) }

// As returns the Error in err. Any other error becomes an internal error.
func As(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if errors.Is(err, budget.ErrExceeded) {
		return OutOfMemory(err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return Late(err)
	}
	return Internal(err)
}

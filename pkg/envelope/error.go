// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package envelope writes the responses of KubeVision's API. Each response is an envelope {code, message, data, meta}
// with the HTTP status 200. No other package writes responses for paths below the prefixes of this API.
package envelope

import (
	"context"
	"errors"
	"fmt"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
)

// Error is an error whose code and message may be sent to the caller. Its cause is only logged.
type Error struct {
	Code    dashboardv1alpha1.Code
	Message string
	// Field is the name of the missing or malformed field, parameter or header of the request, or empty.
	Field string
	// RetryAfterSeconds is the number of seconds after which the caller may retry, or 0.
	RetryAfterSeconds int64
	// Data is the data of the envelope, or nil.
	Data any

	cause error
}

// Error returns the code, the message and the cause. It is for logs, and must not be sent to the caller.
func (e *Error) Error() string {
	if e.cause == nil {
		return fmt.Sprintf("%d: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%d: %s: %v", e.Code, e.Message, e.cause)
}

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error { return e.cause }

// New returns an Error with a code and a formatted message, which is sent to the caller.
func New(code dashboardv1alpha1.Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithCause sets the cause of e and returns e. The cause is only logged.
func (e *Error) WithCause(cause error) *Error {
	e.cause = cause
	return e
}

// Required returns the error for a field, query parameter or path parameter that is missing or empty.
func Required(field string) *Error {
	return &Error{Code: dashboardv1alpha1.CodeRequired, Message: field + " is required", Field: field}
}

// Invalid returns the error for a field, query parameter or path parameter that is malformed. The message should
// describe valid values.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Code: dashboardv1alpha1.CodeInvalid, Message: fmt.Sprintf(format, args...), Field: field}
}

// Unauthenticated returns the error for a request without a valid credential.
func Unauthenticated() *Error {
	return New(dashboardv1alpha1.CodeUnauthenticated, "not logged in: send a valid access token")
}

// TokenExpired returns the error for an expired token with a valid signature.
func TokenExpired() *Error {
	return New(dashboardv1alpha1.CodeTokenExpired, "the token has expired: refresh it or log in again")
}

// SessionEnded returns the error for an access token whose session has ended. It has the code of an expired token. For
// this code, dashboards try to refresh the token. They show the login page if the refresh fails.
func SessionEnded() *Error {
	return New(dashboardv1alpha1.CodeTokenExpired, "the session has ended: log in again")
}

// Internal returns an error with a message that contains no details. The cause is only logged.
func Internal(cause error) *Error {
	return New(dashboardv1alpha1.CodeInternal,
		"internal server error: report the request id to your administrator").WithCause(cause)
}

// Late returns the error for a request that exceeded its time limit because the API server of the host cluster or of
// another cluster was slow. The cause is only logged.
func Late(cause error) *Error {
	return New(dashboardv1alpha1.CodeUnreachable,
		"the request timed out, because the host or a cluster was slow: try again").WithCause(cause)
}

// IsGone returns true if ctx, the context of a request, was cancelled because the client has disconnected. It returns
// false if the time limit was exceeded.
func IsGone(ctx context.Context) bool { return errors.Is(context.Cause(ctx), context.Canceled) }

// As returns the first Error in the chain of err. If there is none, it returns OutOfMemory(err) for budget.ErrExceeded,
// Late(err) for context.DeadlineExceeded, and Internal(err) for any other error.
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

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"context"
	"errors"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters/response"
)

// FromAPIError returns an Error for err, which is the error of a request to an API server. The Status in err determines
// the code. If err contains no Status, or if the API server has failed, the code is 50200. If err already contains an
// Error, FromAPIError returns that Error.
func FromAPIError(err error) *Error {
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	if errors.Is(err, budget.ErrExceeded) {
		return OutOfMemory(err)
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return unreachable(err)
	}
	s := status.Status()
	if why, ok := lastAdmin(&s); ok {
		return New(dashboardv1alpha1.CodeConflict, "%s", why).WithCause(err)
	}
	if isAdmissionRefusal(&s) {
		return New(dashboardv1alpha1.CodeRejected, "%s", s.Message).WithCause(err)
	}
	if bad := badPatch(&s); bad != nil { // without the cause, which would write the object to the log
		return bad
	}
	code := codeOf(&s)
	switch code {
	case dashboardv1alpha1.CodeUnreachable:
		return unreachable(err)
	case dashboardv1alpha1.CodeInvalid:
		e := New(code, "%s", s.Message).WithCause(err)
		e.Field = fieldOf(&s)
		return e
	default:
		return New(code, "%s", s.Message).WithCause(err)
	}
}

// memoryRetrySeconds is the value of RetryAfterSeconds in the error for a request that exceeds the memory budget.
const memoryRetrySeconds = 2

// OutOfMemory returns the error for a request that exceeds the memory limit of its caller. The cause is logged, but not
// sent to the caller.
func OutOfMemory(cause error) *Error {
	e := New(dashboardv1alpha1.CodeTooManyRequests,
		"your requests in flight use all memory that you may use: wait for some of them, or request less, for "+
			"example pages with limit").WithCause(cause)
	e.RetryAfterSeconds = memoryRetrySeconds
	return e
}

// OutOfTime returns the error for a request that has waited too long, because other requests of the same caller use all
// processor time that this caller may use. The cause is logged, but not sent to the caller.
func OutOfTime(cause error) *Error {
	e := New(dashboardv1alpha1.CodeTooManyRequests,
		"your other requests use all processor time that you may use: send fewer or smaller requests").WithCause(cause)
	e.RetryAfterSeconds = memoryRetrySeconds
	return e
}

func unreachable(cause error) *Error {
	message := "the cluster's API server cannot be reached"
	if why, ok := ServerFailure(cause); ok {
		message = why
	} else if errors.Is(cause, context.DeadlineExceeded) {
		message = "the cluster's API server did not respond in time"
	}
	return New(dashboardv1alpha1.CodeUnreachable, "%s", message).WithCause(cause)
}

// maxFailure bounds the bytes of an API server's error message that are returned to callers.
const maxFailure = 4 << 10

// ServerFailure returns the message of an API server that reports its own failure, for example that a conversion
// webhook or etcd does not respond. It returns false for any other error. It also returns false if the message may
// quote values of an object.
func ServerFailure(err error) (string, bool) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !response.IsTyped(err) {
		return "", false
	}
	s := status.Status()
	quotes := strings.Contains(s.Message, "failed to create typed")
	if codeOf(&s) != dashboardv1alpha1.CodeUnreachable || s.Message == "" || quotes {
		return "", false
	}
	return "the cluster's API server responded with an error: " + response.Text(s.Message, maxFailure), true
}

// codeOf maps the HTTP status code of s to a code. It ignores the reason, which may be empty. There is one exception:
// AlreadyExists has another code than other conflicts.
func codeOf(s *metav1.Status) dashboardv1alpha1.Code {
	switch s.Code {
	case http.StatusForbidden:
		return dashboardv1alpha1.CodeForbidden
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return dashboardv1alpha1.CodeNotFound
	case http.StatusConflict:
		if s.Reason == metav1.StatusReasonAlreadyExists {
			return dashboardv1alpha1.CodeConflict
		}
		return dashboardv1alpha1.CodeStale
	case http.StatusUnprocessableEntity:
		return dashboardv1alpha1.CodeRejected
	case http.StatusBadRequest, http.StatusGone, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
		http.StatusNotAcceptable:
		return dashboardv1alpha1.CodeInvalid
	default:
		return dashboardv1alpha1.CodeUnreachable
	}
}

func fieldOf(s *metav1.Status) string {
	if s.Code == http.StatusGone {
		return "continue"
	}
	if s.Details != nil && len(s.Details.Causes) > 0 {
		return s.Details.Causes[0].Field
	}
	return ""
}

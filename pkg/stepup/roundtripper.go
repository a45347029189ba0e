// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package stepup

import (
	"errors"
	"net/http"
	"strings"

	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// RoundTripper rejects sensitive requests without a fresh code of the second factor. All requests of users to clusters
// pass through it.
type RoundTripper struct {
	Next http.RoundTripper
}

// RoundTrip sends the request. It returns an *envelope.Error without sending the request if a required code is missing
// or wrong, or if the request has an Impersonate-* header.
func (t *RoundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	for header := range r.Header {
		if strings.HasPrefix(header, "Impersonate-") {
			return nil, Refuse(r, envelope.Internal(errors.New("a request of a user has the header "+header)))
		}
	}
	if IsSensitive(r) {
		if err := Require(r.Context()); err != nil {
			return nil, Refuse(r, err)
		}
	}
	return t.Next.RoundTrip(r)
}

// Refuse closes the body of a request that a round tripper rejects, and returns err as an *envelope.Error. The result
// contains the cause of err only as text, so that callers do not mistake the cause for a response of the cluster.
func Refuse(r *http.Request, err error) error {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	refusal := *envelope.As(err)
	// Callers look for responses of the cluster with errors.As. Therefore, the result does not wrap the cause.
	if cause := refusal.Unwrap(); cause != nil {
		return refusal.WithCause(errors.New(cause.Error()))
	}
	return &refusal
}

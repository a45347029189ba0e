// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/stepup"
)

// sensitive refuses sensitive requests of a caller that come without a fresh code. Every request of a Caller passes it.
type sensitive struct {
	next http.RoundTripper
}

// RoundTrip returns an *envelope.Error if a fresh code is needed and was not proved. It refuses headers of the client
// that would replace the identity of the caller.
func (s *sensitive) RoundTrip(r *http.Request) (*http.Response, error) {
	for header := range r.Header {
		if strings.HasPrefix(header, "Impersonate-") {
			return nil, refuse(r, envelope.Internal(errors.New("a request of a caller has the header "+header)))
		}
	}
	if stepup.Sensitive(r) {
		if err := stepup.Require(r.Context()); err != nil {
			return nil, refuse(r, err)
		}
	}
	return s.next.RoundTrip(r)
}

// refuse closes the body, as a round tripper must. It keeps the cause of the refusal as text only, so that no caller
// mistakes the cause for a response of the cluster.
func refuse(r *http.Request, err error) error {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	refusal := *envelope.As(err)
	if cause := refusal.Unwrap(); cause != nil {
		return refusal.Because(errors.New(cause.Error()))
	}
	return &refusal
}

// Prove asks for a fresh code if the call needs one. Callers that make several calls use it before the first.
func (c *Caller) Prove(ctx context.Context, call Call) error {
	request := stepup.Request{
		Method: call.Method, Group: call.Resource.Group, Resource: call.Resource.GroupVersionResource.Resource,
		Subresource: call.Subresource, Namespace: call.Namespace, Body: call.Body,
	}
	if !request.Sensitive() {
		return nil
	}
	return stepup.Require(ctx)
}

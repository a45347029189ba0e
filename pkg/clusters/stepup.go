// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/kubevision-io/kubevision/pkg/apiserver/envelope"
	"github.com/kubevision-io/kubevision/pkg/stepup"
)

// sensitive lets no sensitive request of a caller leave without a fresh code. Every request of a Caller passes it.
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

// refuse closes the body, as a round tripper must. Whoever called the cluster must not take the cause of the refusal
// for the cluster's answer: it stays as text.
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

// Prove asks for a fresh code if the call needs one. It is for those who make several calls: they ask before the first.
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

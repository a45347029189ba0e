// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"net/http"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

// charged takes the bytes that are read of a response from the budget of the request. Callers of Stream account for the
// memory of a stream themselves.
type charged struct {
	next http.RoundTripper
	each budget.Quarters
}

// RoundTrip sends the request.
func (c *charged) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.next.RoundTrip(r)
	if err != nil || isStreamed(r.Context()) {
		return response, err
	}
	each := c.each
	if isObject(r.Context()) {
		each = max(each, decodedObject)
	}
	response.Body = budget.Reader(response.Body, budget.From(r.Context()), each)
	return response, nil
}

// decodedObject is the memory that each byte of an object takes when it is decoded, in quarters of a byte: the fields
// of the object, and its text once more.
const decodedObject budget.Quarters = 24

type objectKey struct{}

// ofObject marks a call whose response is one object, which is decoded and encoded as a whole.
func ofObject(ctx context.Context) context.Context { return context.WithValue(ctx, objectKey{}, true) }

func isObject(ctx context.Context) bool { return ctx.Value(objectKey{}) != nil }

type streamedKey struct{}

func streamed(ctx context.Context) context.Context {
	return context.WithValue(ctx, streamedKey{}, true)
}

func isStreamed(ctx context.Context) bool { return ctx.Value(streamedKey{}) != nil }

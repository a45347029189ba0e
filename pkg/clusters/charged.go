// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"net/http"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

// chargingRoundTripper charges the memory of each response to the budget.Account in the context of the request. It does
// not charge responses of Stream, because the callers of Stream charge the memory that they use.
type chargingRoundTripper struct {
	next http.RoundTripper
	each budget.Quarters
}

// RoundTrip sends the request. Each Read of the response body counts the memory for the received bytes in the
// budget.Account of the request. If this memory exceeds a limit of the account, the Read returns budget.ErrExceeded.
func (c *chargingRoundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.next.RoundTrip(r)
	if err != nil || isStreamedResponse(r.Context()) {
		return response, err
	}
	each := c.each
	if isObjectResponse(r.Context()) {
		each = max(each, decodedObject)
	}
	response.Body = budget.Reader(response.Body, budget.AccountFrom(r.Context()), each)
	return response, nil
}

// decodedObject is the memory of a decoded object for each byte of its JSON, in quarters of a byte: 24 means 6 bytes.
// It includes the fields of the object and a copy of its JSON.
const decodedObject budget.Quarters = 24

type objectKey struct{}

func withObjectResponse(ctx context.Context) context.Context {
	return context.WithValue(ctx, objectKey{}, true)
}

func isObjectResponse(ctx context.Context) bool { return ctx.Value(objectKey{}) != nil }

type streamedKey struct{}

func withStreamedResponse(ctx context.Context) context.Context {
	return context.WithValue(ctx, streamedKey{}, true)
}

func isStreamedResponse(ctx context.Context) bool { return ctx.Value(streamedKey{}) != nil }

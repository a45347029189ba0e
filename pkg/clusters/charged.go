// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"net/http"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

// charged takes what is read of responses from the account of the request. Who reads a stream says what they hold of it themselves.
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
	response.Body = budget.Reader(response.Body, budget.From(r.Context()), c.each)
	return response, nil
}

type streamedKey struct{}

func streamed(ctx context.Context) context.Context {
	return context.WithValue(ctx, streamedKey{}, true)
}

func isStreamed(ctx context.Context) bool { return ctx.Value(streamedKey{}) != nil }

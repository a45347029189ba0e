// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"

	"github.com/kubevision-io/kubevision/pkg/stepup"
)

// Prove returns an error if the call needs a fresh code of the user's second factor, but the request of the user
// contains no valid code. Callers use Prove before a sequence of calls, so that a missing code does not stop the
// sequence halfway.
func (c *Client) Prove(ctx context.Context, call Call) error {
	request := stepup.Request{
		Method: call.Method, Group: call.Resource.Group, Resource: call.Resource.GroupVersionResource.Resource,
		Subresource: call.Subresource, Namespace: call.Namespace, Body: call.Body,
	}
	if !request.IsSensitive() {
		return nil
	}
	return stepup.Require(ctx)
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"

	"github.com/kubevision-io/kubevision/pkg/stepup"
)

// Prove returns nil if the call needs no fresh code of the user's second factor, or if the request of the user contains
// a valid code. Callers that send several calls use Prove before the first call, so that a missing code does not stop
// them halfway.
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

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"

	"github.com/kubevision-io/kubevision/pkg/stepup"
)

// Prove verifies a fresh code if the call requires one. Callers that make several calls use it before the first call.
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

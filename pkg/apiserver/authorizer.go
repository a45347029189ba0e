// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/kubevision-io/kubevision/pkg/apiserver/filters"
)

// requestAuthorizer allows all requests to KubeVision's API, because each route checks the rights of the user with
// its own access rule. For other requests, such as discovery and metrics, it sends a SubjectAccessReview to the host
// cluster.
type requestAuthorizer struct {
	authorizer.Authorizer
}

// Authorize implements authorizer.Authorizer.
func (a requestAuthorizer) Authorize(
	ctx context.Context, attributes authorizer.Attributes,
) (authorizer.Decision, string, error) {
	if filters.UnderAPI(attributes.GetPath()) {
		return authorizer.DecisionAllow, "left to the access rule of the route", nil
	}
	return a.Authorizer.Authorize(ctx, attributes)
}

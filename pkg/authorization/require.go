// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authorization

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// Require returns nil if the cluster allows the caller to send the request that the attributes describe. It returns an
// error with a code of the API if the cluster denies the request, or if the access review fails.
func Require(ctx context.Context, caller *clusters.Client, attributes authorizationv1.ResourceAttributes) error {
	allowed, err := caller.Allowed(ctx, attributes)
	switch {
	case apierrors.IsForbidden(err):
		return bindingNotApplied(err)
	case err != nil:
		return NewReviewFailed(err)
	case allowed:
		return nil
	}
	if attributes.Namespace != "" {
		visible, err := MayRead(ctx, caller, attributes.Namespace)
		if err != nil {
			return NewReviewFailed(err)
		}
		if !visible {
			return envelope.New(dashboardv1alpha1.CodeNamespaceForbidden,
				"you may not %s in namespace %q, and you may not get the namespace",
				describeAttributes(attributes), attributes.Namespace)
		}
	}
	return envelope.New(dashboardv1alpha1.CodeForbidden, "you may not %s", describeAttributes(attributes))
}

// bindingNotApplied returns the error for a cluster on which KubeVision does not have the right to impersonate the
// caller yet. Without this right, the cluster forbids access reviews that KubeVision sends as the caller.
func bindingNotApplied(cause error) error {
	return envelope.New(dashboardv1alpha1.CodeForbidden,
		"your role binding is not applied on this cluster yet: try again shortly").WithCause(cause)
}

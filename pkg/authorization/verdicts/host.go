// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/transport"

	"github.com/kubevision-io/kubevision/pkg/clusters"
)

// Reviewed is like Allowed for a review that is not made by a Caller: one of the user as the host knows them. The cluster
// is the one that the review asks.
func (c *Cache) Reviewed(
	ctx context.Context, cluster *clusters.Connection, u user.Info, attributes authorizationv1.ResourceAttributes,
	review func(context.Context) (bool, error),
) (bool, error) {
	identity := transport.ImpersonationConfig{
		UserName: u.GetName(), UID: u.GetUID(), Groups: u.GetGroups(), Extra: u.GetExtra(),
	}
	//nolint:contextcheck // the watch of a scope outlives the request
	return c.verdict(ctx, c.scopeOf(cluster), newQuestion(identity, &attributes), u.GetName(), review)
}

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

// Reviewed is like AllowedStale, for a review that another account requests for a user of the host. cluster is the
// cluster that performs the review. It does not use verdicts during an outage. It returns errors of the review
// unchanged.
func (c *Cache) Reviewed(
	ctx context.Context, cluster *clusters.Connection, u user.Info, attributes authorizationv1.ResourceAttributes,
	review func(context.Context) (bool, error),
) (bool, error) {
	return c.reviewed(ctx, cluster, u, &attributes, review)
}

func (c *Cache) reviewed(
	ctx context.Context, cluster connection, u user.Info, attributes *authorizationv1.ResourceAttributes,
	review func(context.Context) (bool, error),
) (bool, error) {
	identity := transport.ImpersonationConfig{
		UserName: u.GetName(), UID: u.GetUID(), Groups: u.GetGroups(), Extra: u.GetExtra(),
	}
	//nolint:contextcheck // the watch of a scope outlives the request
	return c.verdict(ctx, c.scopeOf(cluster), newQuestion(identity, attributes), u.GetName(),
		func(ctx context.Context) (bool, grants, error) {
			allowed, err := review(ctx)
			return allowed, grants{}, err
		})
}

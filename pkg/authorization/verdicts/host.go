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

// Reviewed returns a valid verdict for the user and the attributes. If there is none, Reviewed calls the given
// function, and returns its errors unchanged. This function must send a SubjectAccessReview for the user to the
// cluster. Unlike AllowedStale, Reviewed never returns verdicts from before an outage.
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
		func(ctx context.Context) (bool, rolesHash, error) {
			allowed, err := review(ctx)
			return allowed, rolesHash{}, err
		})
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authorization

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/fanout"
)

// ReadableNamespaces returns the namespaces from the given list that the caller may get on the cluster. It omits a
// namespace if the cluster forbids the access review.
func ReadableNamespaces(ctx context.Context, caller *clusters.Client, namespaces []string) ([]string, error) {
	allowed := make([]bool, len(namespaces))
	err := fanout.Each(ctx, len(namespaces), ReviewsAtOnce, func(ctx context.Context, i int) (err error) {
		allowed[i], err = MayRead(ctx, caller, namespaces[i])
		if apierrors.IsForbidden(err) {
			return nil // KubeVision does not yet have the right to impersonate the caller
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []string
	for i, ok := range allowed {
		if ok {
			out = append(out, namespaces[i])
		}
	}
	return out, nil
}

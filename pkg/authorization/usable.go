// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authorization

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/fanout"
)

// ReviewsAtOnce bounds the concurrent access reviews that one request sends to one cluster.
const ReviewsAtOnce = 8

// ListClusters returns all KubeVisionClusters, sorted by name.
func ListClusters(ctx context.Context, reader client.Reader) ([]kubevisionv1alpha1.KubeVisionCluster, error) {
	var all kubevisionv1alpha1.KubeVisionClusterList
	if err := reader.List(ctx, &all); err != nil {
		return nil, fmt.Errorf("listing clusters: %w", err)
	}
	slices.SortFunc(all.Items, func(a, b kubevisionv1alpha1.KubeVisionCluster) int {
		return strings.Compare(a.Name, b.Name)
	})
	return all.Items, nil
}

// UsableClusters returns those of the given clusters that the user may use. It first sends one review for all clusters.
// Only if the result is a denial, it sends a review for each cluster. An error means that a review failed.
func (r *Reviewer) UsableClusters(
	ctx context.Context, u user.Info, all []kubevisionv1alpha1.KubeVisionCluster,
) ([]kubevisionv1alpha1.KubeVisionCluster, error) {
	every, err := r.MayUseCluster(ctx, u, "")
	if err != nil {
		return nil, NewReviewFailed(err)
	}
	if every {
		return all, nil
	}
	allowed := make([]bool, len(all))
	err = fanout.Each(ctx, len(all), ReviewsAtOnce, func(ctx context.Context, i int) (err error) {
		allowed[i], err = r.MayUseCluster(ctx, u, all[i].Name)
		return err
	})
	if err != nil {
		return nil, NewReviewFailed(err)
	}
	var out []kubevisionv1alpha1.KubeVisionCluster
	for i, ok := range allowed {
		if ok {
			out = append(out, all[i])
		}
	}
	return out, nil
}

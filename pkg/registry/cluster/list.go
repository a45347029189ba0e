// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/apiserver/routes"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/registry/manage"
)

// reviewsAtOnce bounds the access reviews of one request.
const reviewsAtOnce = 8

// visible is what a caller may know of the clusters.
type visible struct {
	clusters []kubevisionv1alpha1.KubeVisionCluster
	// operator may list the objects themselves, and so sees their conditions.
	operator bool
}

func (e *Endpoints) visible(r *routes.Request, u user.Info) (*visible, error) {
	return usable(r.Context(), e.Reader, e.Host.Reviewer, u)
}

// usable reviews each cluster, unless one review answers for all.
func usable(ctx context.Context, reader client.Reader, reviewer *authorization.Reviewer, u user.Info) (*visible, error) {
	var all kubevisionv1alpha1.KubeVisionClusterList
	if err := reader.List(ctx, &all); err != nil {
		return nil, fmt.Errorf("listing clusters: %w", err)
	}
	slices.SortFunc(all.Items, func(a, b kubevisionv1alpha1.KubeVisionCluster) int { return strings.Compare(a.Name, b.Name) })
	operator, err := reviewer.MayListClusters(ctx, u)
	if err != nil {
		return nil, authorization.Unreviewed(err)
	}
	every := operator
	if !every {
		if every, err = reviewer.MayUseCluster(ctx, u, ""); err != nil {
			return nil, authorization.Unreviewed(err)
		}
	}
	if every {
		return &visible{clusters: all.Items, operator: operator}, nil
	}
	allowed := make([]bool, len(all.Items))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(reviewsAtOnce)
	for i := range all.Items {
		group.Go(func() (err error) {
			allowed[i], err = reviewer.MayUseCluster(ctx, u, all.Items[i].Name)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, authorization.Unreviewed(err)
	}
	v := &visible{}
	for i, ok := range allowed {
		if ok {
			v.clusters = append(v.clusters, all.Items[i])
		}
	}
	return v, nil
}

func list(_ *routes.Request, v *visible) (routes.Result, error) {
	out := make([]dashboardv1alpha1.Cluster, 0, len(v.clusters))
	for i := range v.clusters {
		out = append(out, describe(&v.clusters[i], v.operator))
	}
	return manage.List(out), nil
}

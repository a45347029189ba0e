// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterregistration

import (
	"context"

	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// visible contains the clusters that the caller may see.
type visible struct {
	clusters []kubevisionv1alpha1.KubeVisionCluster
	// withDetails is true if the caller may list KubeVisionClusters, and therefore sees all their fields.
	withDetails bool
}

func (e *Provider) visible(r *routes.Request, u user.Info) (*visible, error) {
	return usable(r.Context(), e.Reader, e.Host.Reviewer, u)
}

// usable returns all clusters if u may list KubeVisionClusters. If not, it returns the clusters that u may use.
func usable(
	ctx context.Context, reader client.Reader, reviewer *authorization.Reviewer, u user.Info,
) (*visible, error) {
	all, err := authorization.ListClusters(ctx, reader)
	if err != nil {
		return nil, err
	}
	withDetails, err := reviewer.MayListClusters(ctx, u)
	if err != nil {
		return nil, authorization.NewReviewFailed(err)
	}
	if withDetails {
		return &visible{clusters: all, withDetails: true}, nil
	}
	clusters, err := reviewer.UsableClusters(ctx, u, all)
	return &visible{clusters: clusters}, err
}

func list(_ *routes.Request, v *visible) (routes.Result, error) {
	out := make([]dashboardv1alpha1.Cluster, 0, len(v.clusters))
	for i := range v.clusters {
		out = append(out, describe(&v.clusters[i], v.withDetails))
	}
	return hostobjects.List(out), nil
}

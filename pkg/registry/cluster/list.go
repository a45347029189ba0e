// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster serves the registered clusters.
package cluster

import (
	"cmp"
	"context"
	"net/http"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/apiserver/routes"
	"github.com/kubevision-io/kubevision/pkg/authorization"
)

// Routes are the endpoints of this package. The reader holds the KubeVision objects.
func Routes(reader client.Reader, reviewer *authorization.Reviewer) []routes.Route {
	review := func(r *routes.Request, u user.Info) (*visible, error) {
		return usable(r.Context(), reader, reviewer, u)
	}
	return []routes.Route{{
		Method: http.MethodGet, Path: "/clusters", Operation: "listClusters",
		Doc: "list the clusters that the caller may use", Returns: dashboardv1alpha1.ClusterListEnvelope{},
		Endpoint: routes.Reviewed(review, list),
	}}
}

// visible is what a caller may know of the clusters.
type visible struct {
	clusters []kubevisionv1alpha1.KubeVisionCluster
	// operator may list the objects themselves, and so sees their conditions.
	operator bool
}

// usable are all clusters for an operator, and those that may be used for anybody else.
func usable(ctx context.Context, reader client.Reader, reviewer *authorization.Reviewer, u user.Info) (*visible, error) {
	all, err := authorization.Clusters(ctx, reader)
	if err != nil {
		return nil, err
	}
	operator, err := reviewer.MayListClusters(ctx, u)
	if err != nil {
		return nil, authorization.Unreviewed(err)
	}
	if operator {
		return &visible{clusters: all, operator: true}, nil
	}
	clusters, err := reviewer.Usable(ctx, u, all)
	return &visible{clusters: clusters}, err
}

func list(_ *routes.Request, v *visible) (routes.Result, error) {
	out := make([]dashboardv1alpha1.Cluster, 0, len(v.clusters))
	for i := range v.clusters {
		entry := describe(&v.clusters[i])
		if v.operator {
			entry.Conditions = v.clusters[i].Status.Conditions
		}
		out = append(out, entry)
	}
	return routes.Result{Data: out, Meta: dashboardv1alpha1.Meta{Total: new(int64(len(out)))}}, nil
}

func describe(c *kubevisionv1alpha1.KubeVisionCluster) dashboardv1alpha1.Cluster {
	return dashboardv1alpha1.Cluster{
		ID: c.Name, Name: c.Name, DisplayName: cmp.Or(c.Spec.DisplayName, c.Name), Status: health(c.Status.Conditions),
		Version: c.Status.Version, APIServer: c.Status.APIServer, CreatedAt: c.CreationTimestamp,
	}
}

func health(conditions []metav1.Condition) string {
	ready := meta.FindStatusCondition(conditions, kubevisionv1alpha1.ReadyCondition)
	switch {
	case ready == nil || ready.Status == metav1.ConditionUnknown:
		return dashboardv1alpha1.ClusterPending
	case ready.Status == metav1.ConditionTrue:
		return dashboardv1alpha1.ClusterHealthy
	default:
		return dashboardv1alpha1.ClusterUnhealthy
	}
}

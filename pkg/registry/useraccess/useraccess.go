// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package useraccess serves the clusters that the caller may use, and the namespaces that the caller may read there.
// It sends access reviews of the verb "use" to the host cluster. To find the namespaces, it impersonates the caller on
// each cluster.
package useraccess

import (
	"context"
	"net/http"
	"slices"

	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/fanout"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const (
	queryCluster = "cluster"

	// clustersAtOnce bounds the number of clusters that one request calls concurrently.
	clustersAtOnce = 32
)

// Provider provides the endpoints of this package.
type Provider struct {
	// Reader reads KubeVision's custom resources.
	Reader client.Reader
	// Access determines which clusters a user may use, and connects to them.
	Access *authorization.Access
}

// Routes implements routes.Provider.
func (e *Provider) Routes() []routes.Route {
	return []routes.Route{{
		Method: http.MethodGet, Path: "/users/me/access", Operation: "getCurrentUserAccess",
		Doc:     "list the clusters that the caller may use, and the namespaces that the caller may read there",
		Returns: dashboardv1alpha1.AccessEnvelope{},
		Parameters: map[string]string{
			queryCluster: "the name of a cluster; the default is all clusters that the caller may use"},
		Endpoint: routes.Reviewed(e.review, e.get),
	}}
}

// access contains a user and the clusters that the user may use. It also contains the KubeVisionRoleBindings that name
// the user or a group of the user.
type access struct {
	user.Info
	clusters []kubevisionv1alpha1.KubeVisionCluster
	bindings []kubevisionv1alpha1.KubeVisionRoleBinding
}

func (e *Provider) review(r *routes.Request, u user.Info) (*access, error) {
	found, err := e.clusters(r, u)
	if err != nil {
		return nil, err
	}
	bound, err := bindings.ListForUser(r.Context(), e.Reader, u.GetName(), u.GetGroups())
	return &access{Info: u, clusters: found, bindings: bound}, err
}

func (e *Provider) clusters(r *routes.Request, u user.Info) ([]kubevisionv1alpha1.KubeVisionCluster, error) {
	ctx := r.Context()
	name, one := r.Query(queryCluster), r.URL.Query().Has(queryCluster)
	if one {
		if err := routes.CheckSubdomain(queryCluster, name); err != nil {
			return nil, err
		}
		if err := e.Access.Reviewer.CheckUse(ctx, u, name); err != nil {
			return nil, err
		}
	}
	all, err := authorization.ListClusters(ctx, e.Reader)
	if err != nil {
		return nil, err
	}
	if !one {
		return e.Access.Reviewer.UsableClusters(ctx, u, all)
	}
	i := slices.IndexFunc(all, func(c kubevisionv1alpha1.KubeVisionCluster) bool { return c.Name == name })
	if i < 0 {
		return nil, authorization.NewClusterNotFound(name)
	}
	return all[i : i+1], nil
}

// get returns the user's access to each cluster in g.clusters. It calls the clusters concurrently, so that a cluster
// that does not respond does not delay the others.
func (e *Provider) get(r *routes.Request, g *access) (routes.Result, error) {
	out := make([]dashboardv1alpha1.ClusterAccess, len(g.clusters))
	err := fanout.Each(r.Context(), len(out), clustersAtOnce, func(ctx context.Context, i int) error {
		out[i] = e.describeAccess(ctx, g, &g.clusters[i])
		return nil
	})
	if err != nil {
		return routes.Result{}, err
	}
	return routes.Result{
		Data: dashboardv1alpha1.Access{Clusters: out}, Meta: dashboardv1alpha1.Meta{Total: new(int64(len(out)))},
	}, nil
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apiresources lists the API resources and custom resources of a cluster.
package apiresources

import (
	"net/http"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// definitions is the resource of CustomResourceDefinitions.
const definitions = "customresourcedefinitions.apiextensions.k8s.io"

// Provider provides the endpoints of this package.
type Provider struct {
	// Access connects callers to clusters, and restricts lists to the namespaces that the caller may read.
	Access *scopedlist.Access
}

// Routes implements routes.Provider.
func (p *Provider) Routes() []routes.Route {
	return []routes.Route{
		{
			Method: http.MethodGet, Path: "/clusters/{cluster}/api-resources", Operation: "listAPIResources",
			Doc: "list the resources that the cluster serves", Returns: dashboardv1alpha1.APIResourceListEnvelope{},
			Endpoint: routes.Reviewed(p.Access.Cluster, apiResources),
		},
		{
			Method: http.MethodGet, Path: "/clusters/{cluster}/crds", Operation: "listCustomResources",
			Doc:      "list the custom resources that the cluster serves",
			Returns:  dashboardv1alpha1.CustomResourceListEnvelope{},
			Endpoint: routes.Reviewed(p.Access.Cluster, customResources),
		},
		{
			Method: http.MethodPost, Path: "/clusters/{cluster}/crds/refresh", Operation: "refreshCustomResources",
			Doc:      "read the resources of the cluster again, and list its custom resources",
			Returns:  dashboardv1alpha1.CustomResourceListEnvelope{},
			Endpoint: routes.Reviewed(p.Access.Cluster, refresh),
		},
	}
}

func apiResources(r *routes.Request, caller *scopedlist.Client) (routes.Result, error) {
	all, err := caller.Resources(r.Context())
	if err != nil {
		return routes.Result{}, envelope.FromAPIError(err)
	}
	data := make([]dashboardv1alpha1.APIResource, 0, len(all))
	for i := range all {
		data = append(data, describe(&all[i]))
	}
	return routes.Result{Data: data, Meta: dashboardv1alpha1.Meta{Total: new(int64(len(data)))}}, nil
}

func describe(r *clusters.Resource) dashboardv1alpha1.APIResource {
	return dashboardv1alpha1.APIResource{
		Name: r.GroupVersionResource.Resource, Group: r.Group, Version: r.Version,
		APIVersion: r.GroupVersion().String(), Kind: r.Kind,
		Namespaced: r.Namespaced, Verbs: append([]string{}, r.Verbs...), ShortNames: r.ShortNames,
		Categories: r.Categories, Subresources: r.Subresources,
	}
}

// customResources lists the resources that CustomResourceDefinitions define. It requests only the metadata of the
// CustomResourceDefinitions, because their schemas are large, and takes all other data from discovery.
func customResources(r *routes.Request, caller *scopedlist.Client) (routes.Result, error) {
	return list(r, caller, func() error { return nil })
}

// refresh renews the cached discovery of the cluster, and then returns the same result as customResources. The caller
// must have the permission to list CustomResourceDefinitions.
func refresh(r *routes.Request, caller *scopedlist.Client) (routes.Result, error) {
	return list(r, caller, func() error { return caller.RefreshResources(r.Context()) })
}

func list(r *routes.Request, caller *scopedlist.Client, prepare func() error) (routes.Result, error) {
	ctx := r.Context()
	t, err := objectref.Find(ctx, caller.Client, "list", definitions, "", "")
	if err != nil {
		return routes.Result{}, err
	}
	call := t.Call(http.MethodGet)
	call.Accept = scopedlist.MetadataOnly
	answer, err := caller.Do(ctx, call)
	if err := authorization.CallError(ctx, caller.Client, t.Attributes("list"), err); err != nil {
		return routes.Result{}, err
	}
	items, err := scopedlist.Items[definition](ctx, scopedlist.Result{Bodies: [][]byte{answer.Body}})
	if err != nil {
		return routes.Result{}, err
	}
	if err := prepare(); err != nil {
		return routes.Result{}, envelope.FromAPIError(err)
	}
	data := []dashboardv1alpha1.CustomResource{}
	for _, d := range items {
		found, served, err := caller.Served(ctx, d.Metadata.Name)
		if _, failed := envelope.ServerFailure(err); err != nil && !failed {
			return routes.Result{}, envelope.FromAPIError(err)
		}
		if served { // The kind of a new or rejected CustomResourceDefinition is not served.
			data = append(data, dashboardv1alpha1.CustomResource{
				Name: d.Metadata.Name, Group: found.Group, Version: found.Version, Kind: found.Kind,
				Plural: found.GroupVersionResource.Resource, Namespaced: found.Namespaced, Categories: found.Categories,
			})
		}
	}
	return routes.Result{
		Data: data, Meta: dashboardv1alpha1.Meta{Source: dashboardv1alpha1.SourceAPIServer,
			Total: new(int64(len(data)))},
	}, nil
}

type definition struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
}

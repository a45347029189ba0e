// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package topology serves the relations between the objects of a namespace: owner references, Pods of Services and
// backends of Ingresses. It includes only objects that the caller may list.
package topology

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// Provider provides the endpoints of this package.
type Provider struct {
	// Access connects callers to clusters, and restricts lists to the namespaces that the caller may read.
	Access *scopedlist.Access
}

// Routes implements routes.Provider.
func (p *Provider) Routes() []routes.Route {
	return []routes.Route{{
		Method: http.MethodGet, Path: "/clusters/{cluster}/namespaces/{namespace}/topology",
		Operation: "getNamespaceTopology",
		Doc:       "show the relations between the objects of a namespace",
		Returns:   dashboardv1alpha1.TopologyEnvelope{},
		Parameters: map[string]string{
			objectref.Namespace: "the namespace",
		},
		Endpoint: routes.Reviewed(p.Access.Cluster, get),
	}}
}

func resourceNames() []string {
	return []string{
		"ingresses.networking.k8s.io", "services", "deployments.apps", "replicasets.apps", "statefulsets.apps",
		"daemonsets.apps", "cronjobs.batch",
		"jobs.batch", "pods",
	}
}

func get(r *routes.Request, caller *scopedlist.Client) (routes.Result, error) {
	namespace := r.Path(objectref.Namespace)
	if err := routes.CheckLabel(objectref.Namespace, namespace); err != nil {
		return routes.Result{}, err
	}
	names := resourceNames()
	found := make([][]object, len(names))
	kinds := make([]scopedlist.Kind, 0, len(names))
	for i, name := range names {
		kinds = append(kinds, scopedlist.Kind{Resource: name, FromCache: true,
			Read: func(ctx context.Context, kind clusters.Resource, a scopedlist.Result) error {
				items, err := scopedlist.Items[object](ctx, a)
				for j := range items {
					items[j].plural = kind.GroupVersionResource.Resource
				}
				found[i] = items
				return err
			}})
	}
	meta, err := caller.Survey(r.Context(), namespace, kinds)
	if err != nil {
		return routes.Result{}, err
	}
	data, complete, err := draw(r.Context(), slices.Concat(found...))
	if err != nil {
		return routes.Result{}, err
	}
	if !complete {
		meta.Warnings = append(meta.Warnings, fmt.Sprintf("some relations are left out: more than %d relations, or %d "+
			"pairs of objects", maxEdges, maxPairs))
	}
	meta.Total = new(int64(len(data.Nodes)))
	return routes.Result{Data: data, Meta: meta}, nil
}

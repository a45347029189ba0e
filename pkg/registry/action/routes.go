// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package action serves operations on the objects of a cluster: scaling, restarts, rollbacks, cordons, drains and
// batches. Each operation sends requests to the cluster as the caller. Therefore, the RBAC of the cluster authorizes
// the operation.
package action

import (
	"net/http"
	"slices"
	"strings"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const cluster = "/clusters/{cluster}"

// Provider provides the endpoints of this package.
type Provider struct {
	// Access connects callers to clusters.
	Access *authorization.Access
}

// Routes implements routes.Provider.
func (p *Provider) Routes() []routes.Route {
	return slices.Concat(p.workloadRoutes(), p.nodeRoutes(), p.batchRoutes())
}

func (p *Provider) workloadRoutes() []routes.Route {
	return slices.Concat(
		onObject("scale", routes.Route{
			Method: http.MethodPut, Doc: "set the number of replicas of an object with a scale subresource",
			Reads: dashboardv1alpha1.ScaleRequest{}, Returns: dashboardv1alpha1.ScaleEnvelope{},
			Endpoint: routes.Reviewed(p.Access.Cluster, scale),
		}),
		onObject("restart", routes.Route{
			Method: http.MethodPost, Doc: "restart the Pods of a Deployment, StatefulSet or DaemonSet, or a single Pod",
			Returns: dashboardv1alpha1.Envelope{}, Endpoint: routes.Reviewed(p.Access.Cluster, restart),
		}),
		onObject("history", routes.Route{
			Method:  http.MethodGet,
			Doc:     "list the revisions of a Deployment, StatefulSet or DaemonSet, the oldest first",
			Returns: dashboardv1alpha1.RevisionListEnvelope{}, Endpoint: routes.Reviewed(p.Access.Cluster, history),
		}),
		onObject("rollback", routes.Route{
			Method: http.MethodPost,
			Doc:    "roll back a Deployment, StatefulSet or DaemonSet to a revision; 0 is the previous one",
			Reads:  dashboardv1alpha1.RollbackRequest{}, Returns: dashboardv1alpha1.RollbackEnvelope{},
			Endpoint: routes.Reviewed(p.Access.Cluster, rollback),
		}),
	)
}

// onObject returns the routes for an action on an object. They have these paths below /clusters/{cluster}:
//
//   - /namespaces/{namespace}/{resource}/{name}/<action>
//   - /namespaces/{namespace}/resources/{resource}/{name}/<action>
//   - /resources/{resource}/{name}/<action>, with the namespace in a query parameter
func onObject(action string, r routes.Route) []routes.Route {
	const inNamespace = cluster + "/namespaces/{namespace}"
	forms := []struct{ operation, path string }{
		{"NamespaceKind", inNamespace + "/{resource}/{name}/"},
		{"NamespaceObject", inNamespace + "/resources/{resource}/{name}/"},
		{"ClusterObject", cluster + "/resources/{resource}/{name}/"},
	}
	out := make([]routes.Route, 0, len(forms))
	for _, form := range forms {
		r.Operation, r.Path = action+form.operation, form.path+action
		r.Parameters = objectref.Docs() // a path without a namespace has a query parameter for it
		out = append(out, r)
	}
	return out
}

func (p *Provider) nodeRoutes() []routes.Route {
	onNode := func(action string, r routes.Route) routes.Route {
		r.Method, r.Path, r.Operation = http.MethodPost, cluster+"/resources/nodes/{name}/"+action, action+"Node"
		r.Parameters = parameters(r.Path)
		return r
	}
	return []routes.Route{
		onNode("cordon", routes.Route{
			Doc:     "cordon a node, so that no new Pods are scheduled on it",
			Returns: dashboardv1alpha1.NodeSchedulingEnvelope{}, Endpoint: routes.Reviewed(p.Access.Cluster, cordon),
		}),
		onNode("uncordon", routes.Route{
			Doc:     "uncordon a node, so that Pods are scheduled on it",
			Returns: dashboardv1alpha1.NodeSchedulingEnvelope{}, Endpoint: routes.Reviewed(p.Access.Cluster, uncordon),
		}),
		onNode("drain", routes.Route{
			Doc:   "cordon a node, and evict its Pods",
			Reads: dashboardv1alpha1.DrainRequest{}, BodyOptional: true, Returns: dashboardv1alpha1.DrainEnvelope{},
			Endpoint: routes.Reviewed(p.Access.Cluster, drain),
		}),
	}
}

func (p *Provider) batchRoutes() []routes.Route {
	return []routes.Route{
		{
			Method: http.MethodPost, Path: cluster + "/resources/batch-delete", Operation: "batchDelete",
			Doc: "delete up to 100 objects", Parameters: parameters(cluster),
			Reads: dashboardv1alpha1.BatchDelete{}, Returns: dashboardv1alpha1.BatchDeleteEnvelope{},
			Endpoint: routes.Reviewed(p.Access.Cluster, batchDelete),
		},
		{
			Method: http.MethodPost, Path: cluster + "/batch-restart", Operation: "batchRestart",
			Doc: "restart up to 100 workloads", Parameters: parameters(cluster),
			Reads: dashboardv1alpha1.BatchRestart{}, Returns: dashboardv1alpha1.BatchRestartEnvelope{},
			Endpoint: routes.Reviewed(p.Access.Cluster, batchRestart),
		},
	}
}

// parameters returns the documentation of the path parameters in path.
func parameters(path string) map[string]string {
	out := map[string]string{}
	for name, doc := range objectref.Docs() {
		if strings.Contains(path, "{"+name+"}") {
			out[name] = doc
		}
	}
	return out
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package resource reads and writes objects of any kind that a cluster serves. It sends the requests to the cluster as
// the caller. Lists can be searched, sorted and divided into pages, and can contain the columns of kubectl get. They
// come from the read cache if possible. The package also executes dry runs, and applies several objects in the order of
// their dependencies.
package resource

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// Provider provides the endpoints of this package.
type Provider struct {
	Access *scopedlist.Access
	Audit  *audit.Log
	// RefusedDryRunsAsData makes the response to a rejected dry run a success with the code 0, as some dashboards
	// expect. The data of the response contain the reasons for the rejection. This applies only to requests from pages
	// of the server's own origin.
	RefusedDryRunsAsData bool
}

const (
	queryLabelSelector = "labelSelector"
	queryFieldSelector = "fieldSelector"
	queryLimit         = "limit"
	queryContinue      = "continue"
	querySortBy        = "sortBy"
	queryOrder         = "order"
	querySearch        = "q"
	queryMetrics       = "includeMetrics"
	queryReveal        = "reveal"
	querySource        = "source"
	queryView          = "view"
	queryForce         = "force"
	queryDryRun        = "dryRun"
	queryPropagation   = "propagationPolicy"
	queryGracePeriod   = "gracePeriodSeconds"

	// sourceLive is the value of querySource that disables the read cache for the request.
	sourceLive = "live"
	// viewTable is the value of queryView that makes a list return the columns of kubectl get.
	viewTable = "table"
)

func parameterDocs() map[string]string {
	docs := objectref.Docs()
	maps.Copy(docs, map[string]string{
		queryLabelSelector: "return only objects with matching labels, for example app=web",
		queryFieldSelector: "return only objects with matching fields, for example status.phase=Running",
		queryLimit:         "the maximum number of objects to return; meta.continue is the token of the next page",
		queryContinue:      "meta.continue of the previous page",
		querySortBy: "the value to sort by: name, namespace, age, a path such as status.phase, restarts, cpu or " +
			"memory for Pods, lastSeen for Events",
		queryOrder:   "asc or desc; the default is asc",
		querySearch:  "return only objects whose name, namespace or labels contain this text; case is ignored",
		queryMetrics: "true to include the metrics of Pods",
		queryReveal:  "true to include the values of a Secret; requires the right to get it, and is recorded",
		querySource:  "live to read from the cluster's API server instead of the read cache",
		queryView:    "table to return the columns of kubectl get instead of whole objects",
		queryForce:   "true to take over fields that other managers own",
		queryDryRun:  "All to validate the change without writing it",
		queryPropagation: "the propagation policy for dependents: Background, Foreground or Orphan; the default is " +
			"Background",
		queryGracePeriod: "the grace period of the deletion in seconds; the default is that of the object",
	})
	return docs
}

// parameterTypes returns the types of the query parameters that are not arbitrary strings.
func parameterTypes() map[string]routes.Type {
	return map[string]routes.Type{
		queryLimit:   routes.Integer(),
		queryOrder:   routes.OneOf("asc", "desc"),
		queryMetrics: routes.Boolean(),
		queryReveal:  routes.Boolean(),
		querySource:  routes.OneOf(sourceLive),
		queryView:    routes.OneOf(viewTable),
		queryForce:   routes.Boolean(),
		queryDryRun:  routes.OneOf(metav1.DryRunAll),
		queryPropagation: routes.OneOf(
			string(
				metav1.DeletePropagationBackground,
			),
			string(metav1.DeletePropagationForeground),
			string(metav1.DeletePropagationOrphan),
		),
		queryGracePeriod: routes.Integer(),
	}
}

// family contains the common properties of all routes with the same path prefix.
type family struct {
	path, scope string
	queries     []string
}

func (f family) route(method, below, operation, doc string, endpoint routes.Endpoint, queries ...string) routes.Route {
	path := f.path + below
	parameters, types := documented(path, append(queries, f.queries...)...), parameterTypes()
	maps.DeleteFunc(types, func(name string, _ routes.Type) bool { return parameters[name] == "" })
	return routes.Route{
		Method: method, Path: path, Operation: strings.Replace(operation, "*", f.scope, 1), Doc: doc,
		Endpoint: endpoint,
		Returns:  dashboardv1alpha1.ObjectEnvelope{}, Parameters: parameters, Types: types,
	}
}

// Routes implements routes.Provider.
func (e *Provider) Routes() []routes.Route {
	out := make([]routes.Route, 0, 32)
	for _, f := range []family{
		{path: "/clusters/{cluster}/resources/{resource}", scope: "Cluster", queries: []string{objectref.Namespace}},
		{path: "/clusters/{cluster}/namespaces/{namespace}/resources/{resource}", scope: "Namespace"},
	} {
		out = append(out, e.readRoutes(f)...)
		out = append(out, e.writeRoutes(f)...)
		out = append(out, e.dryRunRoutes(f)...)
	}
	return append(out, e.applyRoute())
}

func (e *Provider) readRoutes(f family) []routes.Route {
	list := f.route(
		http.MethodGet,
		"",
		"list*Objects",
		"list the objects of a kind",
		routes.Reviewed(e.Access.Cluster, list),
		queryLabelSelector,
		queryFieldSelector,
		queryLimit,
		queryContinue,
		querySortBy,
		queryOrder,
		querySearch,
		queryMetrics,
		querySource,
		queryView,
	)
	list.Returns = dashboardv1alpha1.ObjectListEnvelope{}
	get := f.route(
		http.MethodGet,
		"/{name}",
		"get*Object",
		"get one object",
		routes.Reviewed(e.reviewRead, e.get),
		queryReveal,
		queryMetrics,
		querySource,
	)
	return []routes.Route{list, get}
}

func (e *Provider) writeRoutes(f family) []routes.Route {
	out := []routes.Route{
		f.route(http.MethodPost, "", "create*Object", "create an object", e.writeEndpoint(prepareCreate), queryDryRun),
		f.route(
			http.MethodPut,
			"/{name}",
			"replace*Object",
			"replace an object",
			e.writeEndpoint(prepareReplace),
			queryDryRun,
		),
		f.route(
			http.MethodPatch,
			"/{name}",
			"patch*Object",
			"patch or apply an object",
			e.writeEndpoint(preparePatch),
			queryForce,
			queryDryRun,
		),
		f.route(http.MethodDelete, "/{name}", "delete*Object", "delete an object", e.writeEndpoint(prepareDelete),
			queryPropagation, queryGracePeriod, queryDryRun),
	}
	for i := range out[:3] {
		out[i].Reads = dashboardv1alpha1.Manifest{}
	}
	return out
}

func (e *Provider) dryRunRoutes(f family) []routes.Route {
	out := []routes.Route{
		f.route(
			http.MethodPost,
			"/dry-run",
			"tryCreate*Object",
			"preview the creation of an object, which is not stored",
			e.dryRunEndpoint(prepareCreate),
		),
		f.route(
			http.MethodPut,
			"/{name}/dry-run",
			"tryReplace*Object",
			"preview the replacement of an object, which is not stored",
			e.dryRunEndpoint(prepareReplace),
		),
		f.route(
			http.MethodPatch,
			"/{name}/dry-run",
			"tryPatch*Object",
			"preview a patch or an apply of an object, which is not stored",
			e.dryRunEndpoint(preparePatch),
			queryForce,
		),
	}
	for i := range out {
		out[i].Reads, out[i].Returns = dashboardv1alpha1.Manifest{}, dashboardv1alpha1.DryRunEnvelope{}
	}
	return out
}

func documented(path string, queries ...string) map[string]string {
	out := map[string]string{}
	for name, doc := range parameterDocs() {
		if strings.Contains(path, "{"+name+"}") || slices.Contains(queries, name) {
			out[name] = doc
		}
	}
	return out
}

// flag returns the value of a boolean query parameter, or false if it is missing.
func flag(r *routes.Request, name string) (bool, error) {
	return routes.ParseBool(r.URL.Query(), name, false)
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package resource serves the objects of a cluster: any kind that it serves, read as the caller.
package resource

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/apiserver/envelope"
	"github.com/kubevision-io/kubevision/pkg/apiserver/routes"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/target"
)

const (
	queryLabelSelector = "labelSelector"
	queryFieldSelector = "fieldSelector"
	queryLimit         = "limit"
	queryContinue      = "continue"
)

func parameterDocs() map[string]string {
	docs := target.Docs()
	maps.Copy(docs, map[string]string{
		queryLabelSelector: "only objects whose labels match, such as app=web",
		queryFieldSelector: "only objects whose fields match, such as status.phase=Running",
		queryLimit:         "the most objects to return; meta.continue fetches the next page",
		queryContinue:      "meta.continue of the page before",
	})
	return docs
}

// Routes are the endpoints of this package.
func Routes(access *authorization.Access) []routes.Route {
	const (
		inQuery = "/clusters/{cluster}/resources/{resource}"
		inPath  = "/clusters/{cluster}/namespaces/{namespace}/resources/{resource}"
	)
	list := routes.Reviewed(access.Cluster, list)
	get := routes.Reviewed(access.Cluster, get)
	listQueries := []string{queryLabelSelector, queryFieldSelector, queryLimit, queryContinue}
	return []routes.Route{
		{
			Method: http.MethodGet, Path: inQuery, Operation: "listClusterObjects", Endpoint: list,
			Doc:     "list the objects of a kind, of one namespace or of all",
			Returns: dashboardv1alpha1.ObjectListEnvelope{}, Parameters: documented(inQuery, append([]string{target.Namespace}, listQueries...)...),
		},
		{
			Method: http.MethodGet, Path: inPath, Operation: "listNamespaceObjects", Endpoint: list,
			Doc:     "list the objects of a kind in a namespace",
			Returns: dashboardv1alpha1.ObjectListEnvelope{}, Parameters: documented(inPath, listQueries...),
		},
		{
			Method: http.MethodGet, Path: inQuery + "/{name}", Operation: "getClusterObject", Endpoint: get,
			Doc:     "get one object",
			Returns: dashboardv1alpha1.ObjectEnvelope{}, Parameters: documented(inQuery+"/{name}", target.Namespace),
		},
		{
			Method: http.MethodGet, Path: inPath + "/{name}", Operation: "getNamespaceObject", Endpoint: get,
			Doc:     "get one object of a namespace",
			Returns: dashboardv1alpha1.ObjectEnvelope{}, Parameters: documented(inPath + "/{name}"),
		},
	}
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

func list(r *routes.Request, caller *clusters.Caller) (routes.Result, error) {
	query, err := listQuery(r)
	if err != nil {
		return routes.Result{}, err
	}
	t, err := target.Read(r, caller, "list")
	if err != nil {
		return routes.Result{}, err
	}
	body, err := caller.Get(r.Context(), t.Resource, t.Namespace, "", query)
	if err := authorization.Outcome(r.Context(), caller, t.Attributes("list"), err); err != nil {
		return routes.Result{}, nameField(err, query)
	}
	found, err := objects.DecodeList(body, t.Resource)
	if err != nil {
		return routes.Result{}, err
	}
	meta := dashboardv1alpha1.Meta{Source: dashboardv1alpha1.SourceAPIServer, Continue: found.Continue}
	if query.Get(queryContinue) == "" {
		meta.Total = found.Total()
	}
	items, err := objects.Encode(found.Items)
	return routes.Result{Data: envelope.Raw(items), Meta: meta}, err
}

// nameField says which query parameter the cluster's API server did not like. It checks continue before fieldSelector, and names neither.
func nameField(err error, query url.Values) error {
	e, ok := errors.AsType[*envelope.Error](err)
	if !ok || e.Code != dashboardv1alpha1.CodeInvalid || e.Field != "" {
		return err
	}
	for _, name := range []string{queryContinue, queryFieldSelector, queryLabelSelector, queryLimit} {
		if query.Has(name) {
			e.Field = name
			break
		}
	}
	return e
}

func get(r *routes.Request, caller *clusters.Caller) (routes.Result, error) {
	t, err := target.ReadObject(r, caller, "get")
	if err != nil {
		return routes.Result{}, err
	}
	body, err := caller.Get(r.Context(), t.Resource, t.Namespace, t.Name, nil)
	if err := authorization.Outcome(r.Context(), caller, t.Attributes("get"), err); err != nil {
		return routes.Result{}, err
	}
	object, err := objects.Decode(body, t.Resource)
	if err != nil {
		return routes.Result{}, err
	}
	encoded, err := objects.Encode(object)
	return routes.Result{Data: envelope.Raw(encoded), Meta: dashboardv1alpha1.Meta{Source: dashboardv1alpha1.SourceAPIServer}}, err
}

// listQuery takes over the query parameters that the cluster's API server knows, checked.
func listQuery(r *routes.Request) (url.Values, error) {
	out := url.Values{}
	if value := r.Query(queryLabelSelector); value != "" {
		if _, err := labels.Parse(value); err != nil {
			return nil, envelope.Invalid(queryLabelSelector, "labelSelector: %s", err.Error())
		}
		out.Set(queryLabelSelector, value)
	}
	if value := r.Query(queryFieldSelector); value != "" {
		if _, err := fields.ParseSelector(value); err != nil {
			return nil, envelope.Invalid(queryFieldSelector, "fieldSelector: %s", err.Error())
		}
		out.Set(queryFieldSelector, value)
	}
	if value := r.Query(queryLimit); value != "" {
		limit, err := strconv.ParseInt(value, 10, 32)
		if err != nil || limit < 0 {
			return nil, envelope.Invalid(queryLimit, "limit must be a whole number, 0 or more")
		}
		out.Set(queryLimit, strconv.FormatInt(limit, 10))
	}
	if value := r.Query(queryContinue); value != "" {
		out.Set(queryContinue, value)
	}
	return out, nil
}

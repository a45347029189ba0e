// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package resource serves the objects of a cluster: any kind that it serves, read as the caller.
package resource

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/apiserver/envelope"
	"github.com/kubevision-io/kubevision/pkg/apiserver/routes"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/clusters"
)

const (
	paramNamespace = "namespace"
	paramResource  = "resource"
	paramName      = "name"

	queryLabelSelector = "labelSelector"
	queryFieldSelector = "fieldSelector"
	queryLimit         = "limit"
	queryContinue      = "continue"
)

func parameterDocs() map[string]string {
	return map[string]string{
		authorization.ClusterParameter: "the name of the cluster",
		paramNamespace:                 "the namespace",
		paramResource:                  "the plural name of the kind: pods, deployments.apps or deployments.v1.apps",
		paramName:                      "the name of the object",
		queryLabelSelector:             "only objects whose labels match, such as app=web",
		queryFieldSelector:             "only objects whose fields match, such as status.phase=Running",
		queryLimit:                     "the most objects to return; meta.continue fetches the next page",
		queryContinue:                  "meta.continue of the page before",
	}
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
			Returns: dashboardv1alpha1.ObjectListEnvelope{}, Parameters: documented(inQuery, append([]string{paramNamespace}, listQueries...)...),
		},
		{
			Method: http.MethodGet, Path: inPath, Operation: "listNamespaceObjects", Endpoint: list,
			Doc:     "list the objects of a kind in a namespace",
			Returns: dashboardv1alpha1.ObjectListEnvelope{}, Parameters: documented(inPath, listQueries...),
		},
		{
			Method: http.MethodGet, Path: inQuery + "/{name}", Operation: "getClusterObject", Endpoint: get,
			Doc:     "get one object",
			Returns: dashboardv1alpha1.ObjectEnvelope{}, Parameters: documented(inQuery+"/{name}", paramNamespace),
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

// target is what a request is about.
type target struct {
	resource  clusters.Resource
	namespace string
	name      string
}

func (t target) attributes(verb string) authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{
		Group: t.resource.Group, Version: t.resource.Version, Resource: t.resource.GroupVersionResource.Resource,
		Verb: verb, Namespace: t.namespace, Name: t.name,
	}
}

func list(r *routes.Request, caller *clusters.Caller) (routes.Result, error) {
	query, err := listQuery(r)
	if err != nil {
		return routes.Result{}, err
	}
	t, err := resolve(r, caller, "list")
	if err != nil {
		return routes.Result{}, err
	}
	body, err := caller.Get(r.Context(), t.resource, t.namespace, "", query)
	if err := authorization.Outcome(r.Context(), caller, t.attributes("list"), err); err != nil {
		return routes.Result{}, nameField(err, query)
	}
	objects, err := decodeList(body, t.resource)
	if err != nil {
		return routes.Result{}, err
	}
	meta := dashboardv1alpha1.Meta{Source: dashboardv1alpha1.SourceAPIServer, Continue: objects.next}
	if query.Get(queryContinue) == "" {
		meta.Total = objects.total()
	}
	return routes.Result{Data: objects.items, Meta: meta}, nil
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
	t, err := resolve(r, caller, "get")
	if err != nil {
		return routes.Result{}, err
	}
	if t.resource.Namespaced && t.namespace == "" {
		return routes.Result{}, envelope.Invalid(paramNamespace, "%s are in namespaces: say in which one", t.resource.GroupVersionResource.Resource)
	}
	body, err := caller.Get(r.Context(), t.resource, t.namespace, t.name, nil)
	if err := authorization.Outcome(r.Context(), caller, t.attributes("get"), err); err != nil {
		return routes.Result{}, err
	}
	object, err := decodeObject(body, t.resource)
	if err != nil {
		return routes.Result{}, err
	}
	return routes.Result{Data: object, Meta: dashboardv1alpha1.Meta{Source: dashboardv1alpha1.SourceAPIServer}}, nil
}

// resolve reads the path. The kind is found by discovery only, never built into a URL as it was sent.
func resolve(r *routes.Request, caller *clusters.Caller, verb string) (target, error) {
	t := target{namespace: r.Path(paramNamespace), name: r.Path(paramName)}
	if t.namespace == "" {
		t.namespace = r.Query(paramNamespace)
	}
	if t.namespace != "" {
		if err := routes.CheckLabel(paramNamespace, t.namespace); err != nil {
			return target{}, err
		}
	}
	if problems := content.IsPathSegmentName(t.name); len(problems) > 0 {
		return target{}, envelope.Invalid(paramName, "name: %s", strings.Join(problems, "; "))
	}
	kind := r.Path(paramResource)
	if problems := utilvalidation.IsDNS1123Subdomain(kind); len(problems) > 0 {
		return target{}, envelope.Invalid(paramResource, "resource: %s", strings.Join(problems, "; "))
	}
	found, ok, err := caller.Resource(r.Context(), kind)
	if err != nil {
		return target{}, envelope.FromAPIError(err)
	}
	if !ok {
		return target{}, envelope.New(dashboardv1alpha1.CodeNotFound, "the cluster serves no resource %q", kind)
	}
	if !slices.Contains(found.Verbs, verb) {
		return target{}, envelope.New(dashboardv1alpha1.CodeNotFound, "the cluster offers no %s of %s", verb, kind)
	}
	if !found.Namespaced && t.namespace != "" {
		return target{}, envelope.Invalid(paramNamespace, "%s are not in namespaces: leave the namespace out", kind)
	}
	t.resource = found
	return t, nil
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

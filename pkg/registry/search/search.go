// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package search searches the objects that the caller may list, in one or several clusters. It finds objects whose name
// or labels contain a text, and returns the best matches first.
package search

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	utilvalidation "k8s.io/apimachinery/pkg/util/validation"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
	"github.com/kubevision-io/kubevision/pkg/routes"
	"github.com/kubevision-io/kubevision/pkg/userlimit"
)

const (
	queryText      = "q"
	queryKinds     = "kinds"
	queryTypes     = "types"
	queryNamespace = "namespace"
	queryLimit     = "limit"
	queryClusters  = "clusters"

	// defaultLimit bounds the number of objects of one kind in a response, unless the request contains a limit.
	defaultLimit = 20
	// maxLimit bounds the number of objects of one kind in a response. A larger limit in a request is reduced to
	// maxLimit.
	maxLimit = 500
	// maxKinds bounds the number of kinds of one search.
	maxKinds = 40
	// maxClusters bounds the number of clusters that one request names.
	maxClusters = 100
	// clustersAtOnce bounds the number of clusters that one request searches concurrently.
	clustersAtOnce = 32
	// searchesAtOnce bounds the number of clusters that the server searches concurrently for all multi-cluster
	// requests. The search of a cluster holds objects in memory. Requests for a single cluster do not count.
	searchesAtOnce = 64
	// maxText bounds the length of the text to search for, in bytes.
	maxText = 253
)

// defaultKinds returns the kinds that are searched if the request does not name kinds.
func defaultKinds() []string {
	return []string{
		"pods", "deployments.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch", "cronjobs.batch", "services",
		"ingresses.networking.k8s.io",
		"configmaps", "secrets", "persistentvolumes", "persistentvolumeclaims", "storageclasses.storage.k8s.io",
		"nodes", "namespaces", "limitranges",
		"resourcequotas",
	}
}

// Provider provides the endpoints of this package.
type Provider struct {
	access  *scopedlist.Access
	limiter *userlimit.Limiter
}

// NewProvider returns a Provider. One user may execute at most half of the searches that searchesAtOnce allows, so that
// one user's searches of slow clusters cannot prevent the searches of other users.
func NewProvider(access *scopedlist.Access) *Provider {
	return &Provider{access: access, limiter: userlimit.New(searchesAtOnce, searchesAtOnce/2)}
}

// Routes implements routes.Provider.
func (e *Provider) Routes() []routes.Route {
	queries := map[string]string{
		queryText:      "text that the name or a label must contain; case is ignored",
		queryKinds:     "comma-separated plurals of the kinds to search; the default is the kinds of the sidebar",
		queryTypes:     "an alias of kinds",
		queryNamespace: "search only this namespace",
		queryLimit:     "the maximum number of items of each kind: 20 by default, and 500 at most",
	}
	several := maps.Clone(queries)
	types := map[string]routes.Type{queryLimit: routes.Integer()}
	several[queryClusters] = "comma-separated names of the clusters to search; the default is all clusters that the " +
		"caller may use"
	return []routes.Route{
		{
			Method: http.MethodGet, Path: "/clusters/{cluster}/search", Operation: "searchCluster",
			Doc: "find objects of a cluster by name or label", Returns: dashboardv1alpha1.SearchEnvelope{},
			Parameters: queries,
			Types:      types, Endpoint: routes.Reviewed(e.access.Cluster, e.searchOne),
		},
		{
			Method: http.MethodGet, Path: "/search", Operation: "searchClusters",
			Doc: "find objects of several clusters by name or label", Returns: dashboardv1alpha1.SearchEnvelope{},
			Parameters: several,
			Types:      types, Endpoint: routes.Reviewed(e.review, e.searchSeveral),
		},
	}
}

// query contains the parsed parameters of a search.
type query struct {
	text  string
	kinds []string
	// named is true if the request names the kinds to search. It is false if the default kinds are searched.
	named     bool
	namespace string
	limit     int
}

func read(r *routes.Request) (query, error) {
	w := query{text: strings.ToLower(strings.TrimSpace(r.Query(queryText))), namespace: r.Query(queryNamespace),
		limit: defaultLimit}
	switch {
	case w.text == "":
		return query{}, envelope.Required(queryText)
	case len(w.text) > maxText:
		return query{}, envelope.Invalid(queryText, "q must have at most %d characters", maxText)
	}
	if w.namespace != "" {
		if err := routes.CheckLabel(queryNamespace, w.namespace); err != nil {
			return query{}, err
		}
	}
	if value := r.Query(queryLimit); value != "" {
		limit, err := strconv.Atoi(value)
		if err != nil || limit < 0 {
			return query{}, envelope.Invalid(queryLimit, "limit must be a non-negative integer")
		}
		if limit > 0 {
			w.limit = min(limit, maxLimit)
		}
	}
	var err error
	w.kinds, w.named, err = readKinds(r)
	return w, err
}

func readKinds(r *routes.Request) (kinds []string, named bool, err error) {
	field, value := queryKinds, r.Query(queryKinds)
	if value == "" {
		field, value = queryTypes, r.Query(queryTypes)
	}
	if value == "" {
		return defaultKinds(), false, nil
	}
	kinds, fits := split(value, maxKinds)
	if !fits {
		return nil, false, envelope.Invalid(field, "%s may name at most %d kinds", field, maxKinds)
	}
	for _, kind := range kinds {
		if problems := utilvalidation.IsDNS1123Subdomain(kind); len(problems) > 0 {
			return nil, false, envelope.Invalid(field, "%s: %s", field, strings.Join(problems, "; "))
		}
	}
	return kinds, true, nil
}

// split returns the distinct elements of a comma-separated list. If the list has more than maxElements distinct
// elements, split returns false.
func split(list string, maxElements int) ([]string, bool) {
	var out []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name == "" || slices.Contains(out, name) {
			continue
		}
		if len(out) == maxElements {
			return nil, false
		}
		out = append(out, name)
	}
	return out, true
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package search

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/klog/v2"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/fanout"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/readcache"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// clusterTimeout bounds the time for each cluster of a request that searches several clusters.
const clusterTimeout = 5 * time.Second

// retrySeconds is the value of the header Retry-After in an error with CodeTooManyRequests.
const retrySeconds = 5

func (e *Provider) searchOne(r *routes.Request, caller *scopedlist.Client) (routes.Result, error) {
	w, err := read(r)
	if err != nil {
		return routes.Result{}, err
	}
	found, meta, err := search(r.Context(), caller, w, "")
	if err != nil {
		return routes.Result{}, err
	}
	data := results(w, found)
	meta.Total = new(data.Total)
	return routes.Result{Data: data, Meta: meta}, nil
}

// search searches the cluster of caller. It returns one slice of matching objects for each element of w.kinds. Each
// match contains clusterName. The name is empty if the request searches only the cluster in its path, because the
// client then knows the cluster.
func search(
	ctx context.Context, caller *scopedlist.Client, w query, clusterName string,
) ([][]match, dashboardv1alpha1.Meta, error) {
	unserved, err := unservedWarnings(ctx, caller, w)
	if err != nil {
		return nil, dashboardv1alpha1.Meta{}, err
	}
	found := make([][]match, len(w.kinds))
	kinds := make([]scopedlist.Kind, 0, len(w.kinds))
	for i, name := range w.kinds {
		kinds = append(kinds, scopedlist.Kind{Resource: name, Accept: scopedlist.MetadataOnly, FromCache: true,
			Read: func(ctx context.Context, r clusters.Resource, a scopedlist.Result) error {
				if a.Cached != nil {
					all, err := cached(ctx, a.Cached, w.text)
					found[i] = matching(all, r, clusterName, w.text)
					return err
				}
				all, err := scopedlist.Items[object](ctx, a)
				found[i] = matching(all, r, clusterName, w.text)
				return err
			}})
	}
	meta, err := caller.Survey(ctx, w.namespace, kinds)
	meta.Warnings = append(meta.Warnings, unserved...)
	return withoutRepeats(found), meta, err
}

// cached returns the objects in c whose name contains text, or one of whose labels contains text. text must be in lower
// case. cached does not decode the JSON of the objects, because the read cache also stores the names and labels
// separately.
func cached(ctx context.Context, c *scopedlist.Cached, text string) ([]object, error) {
	account, all := budget.AccountFrom(ctx), []object(nil)
	for o := range c.Groups.Objects() {
		if err := ctx.Err(); err != nil {
			return nil, envelope.Late(err)
		}
		if !mayMatch(o, text) {
			continue
		}
		var item object
		item.Metadata.Name, item.Metadata.Namespace = o.Name, o.Namespace
		if len(o.Labels) > 0 {
			item.Metadata.Labels = make(map[string]string, len(o.Labels))
		}
		for _, l := range o.Labels {
			item.Metadata.Labels[l.Key] = l.Value
		}
		if err := objects.HoldItem(account, &item); err != nil {
			return nil, fmt.Errorf("searching the read cache: %w", err)
		}
		all = append(all, item)
	}
	return all, nil
}

// mayMatch returns true if the name or a label of o contains text. rank() later computes how well o matches.
func mayMatch(o *readcache.Object, text string) bool {
	return strings.Contains(strings.ToLower(o.Name), text) ||
		slices.ContainsFunc(o.Labels, func(l readcache.Label) bool {
			return strings.Contains(strings.ToLower(l.Key+"="+l.Value), text)
		})
}

// withoutRepeats replaces a slice of matches with nil if an earlier slice is for the same kind. A request may name one
// kind twice, for example as deployments and as deployments.apps.
func withoutRepeats(found [][]match) [][]match {
	seen := sets.New[string]()
	for i, matches := range found {
		if len(matches) == 0 {
			continue
		}
		if kind := matches[0].APIVersion + matches[0].Kind; seen.Has(kind) {
			found[i] = nil
		} else {
			seen.Insert(kind)
		}
	}
	return found
}

// unservedWarnings returns a warning for each kind that the request names and that the cluster does not serve or cannot
// list.
func unservedWarnings(ctx context.Context, caller *scopedlist.Client, w query) ([]string, error) {
	if !w.named {
		return nil, nil
	}
	var warnings []string
	for _, name := range w.kinds {
		found, served, err := caller.Resource(ctx, name, listable)
		_, failed := envelope.ServerFailure(err)
		switch {
		case failed: // the survey adds a warning for this group
		case err != nil:
			return nil, envelope.FromAPIError(err)
		case !served:
			warnings = append(warnings, fmt.Sprintf("the cluster serves no resource %q", name))
		case !listable(&found):
			warnings = append(warnings, fmt.Sprintf("the cluster does not support list of %s", name))
		}
	}
	return warnings, nil
}

func listable(r *clusters.Resource) bool { return slices.Contains(r.Verbs, "list") }

// results converts the matches of all kinds to a response. It omits kinds without a match.
func results(w query, found [][]match) dashboardv1alpha1.SearchResults {
	out := dashboardv1alpha1.SearchResults{Results: []dashboardv1alpha1.SearchGroup{}}
	for _, matches := range found {
		if len(matches) == 0 {
			continue
		}
		g := group(matches[0].ResourceType, matches, w.limit)
		out.Results = append(out.Results, g)
		out.Total += g.Total
	}
	return out
}

// searchScope contains the user of a request, and the names of the clusters to search.
type searchScope struct {
	user.Info
	names []string
}

// review returns the clusters that the request names. If the request names none, review returns all clusters that u may
// use. It returns an error if u may not use a named cluster.
func (e *Provider) review(r *routes.Request, u user.Info) (*searchScope, error) {
	ctx, reviewer := r.Context(), e.access.Reviewer
	names, fits := split(r.Query(queryClusters), maxClusters)
	if !fits {
		return nil, envelope.Invalid(queryClusters, "name at most %d clusters", maxClusters)
	}
	for _, name := range names {
		if err := routes.CheckSubdomain(queryClusters, name); err != nil {
			return nil, err
		}
		if err := reviewer.CheckUse(ctx, u, name); err != nil {
			return nil, err
		}
	}
	all, err := authorization.ListClusters(ctx, e.access.Reader)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		if all, err = reviewer.UsableClusters(ctx, u, all); err != nil {
			return nil, err
		}
	}
	out := &searchScope{Info: u}
	for i := range all {
		if len(names) == 0 || slices.Contains(names, all[i].Name) {
			out.names = append(out.names, all[i].Name)
		}
	}
	for _, name := range names {
		if !slices.Contains(out.names, name) {
			return nil, authorization.NewClusterNotFound(name)
		}
	}
	return out, nil
}

// searched is the result of searching one cluster. A request that searches several clusters merges these results.
type searched struct {
	dashboardv1alpha1.SearchedCluster
	found    [][]match
	warnings []string
}

// searchSeveral searches the clusters concurrently, so that a cluster that does not respond does not delay the others.
func (e *Provider) searchSeveral(r *routes.Request, reached *searchScope) (routes.Result, error) {
	w, err := read(r)
	if err != nil {
		return routes.Result{}, err
	}
	all := make([]searched, len(reached.names))
	err = fanout.Each(r.Context(), len(all), clustersAtOnce, func(ctx context.Context, i int) error {
		return e.inTurn(ctx, reached.GetName(), func() {
			all[i] = e.searchOneOfSeveral(ctx, reached, reached.names[i], w)
		})
	})
	if err != nil {
		return routes.Result{}, err
	}
	merged := make([][]match, len(w.kinds))
	meta := dashboardv1alpha1.Meta{Source: dashboardv1alpha1.SourceAPIServer}
	clustersSearched := make([]dashboardv1alpha1.SearchedCluster, 0, len(all))
	for _, s := range all {
		for kind, found := range s.found {
			merged[kind] = append(merged[kind], found...)
		}
		meta.Partial = meta.Partial || s.Partial || s.Status != dashboardv1alpha1.AccessReachable
		meta.Warnings = append(meta.Warnings, s.warnings...)
		clustersSearched = append(clustersSearched, s.SearchedCluster)
	}
	data := results(w, merged)
	data.Clusters, meta.Total = clustersSearched, new(data.Total)
	return routes.Result{Data: data, Meta: meta}, nil
}

// inTurn waits until the limiter allows another search of a cluster, and then calls search(). If ctx ends first, inTurn
// returns an error with CodeTooManyRequests.
func (e *Provider) inTurn(ctx context.Context, user string, search func()) error {
	leave, err := e.limiter.Enter(ctx, user)
	if err != nil {
		busy := envelope.New(dashboardv1alpha1.CodeTooManyRequests,
			"too many clusters are being searched: try again later")
		busy.RetryAfterSeconds = retrySeconds
		return busy.WithCause(err)
	}
	defer leave()
	search()
	return nil
}

// searchOneOfSeveral searches the cluster with the given name on behalf of the user u. If the search fails, the result
// has no matches, and Partial is true.
func (e *Provider) searchOneOfSeveral(ctx context.Context, u user.Info, name string, w query) searched {
	ctx, cancel := context.WithTimeoutCause(ctx, clusterTimeout, clusters.ErrImpatient)
	defer cancel()
	out := searched{SearchedCluster: dashboardv1alpha1.SearchedCluster{ID: name, Name: name,
		Status: dashboardv1alpha1.AccessReachable}}
	caller, err := e.access.ClusterByName(ctx, u, name)
	var meta dashboardv1alpha1.Meta
	if err == nil {
		out.found, meta, err = search(ctx, caller, w, name)
	}
	if err != nil {
		out.found, out.Partial = nil, true
		if why, ok := envelope.ServerFailure(err); ok {
			out.warnings = []string{fmt.Sprintf("cluster %s: %s", name, why)}
		}
		if envelope.As(err).Code >= dashboardv1alpha1.CodeInternal {
			out.Status = dashboardv1alpha1.AccessUnreachable
		}
		if !errors.Is(err, clusters.ErrNotConnected) {
			klog.FromContext(ctx).Info("A cluster could not be searched", "cluster", name, "err", err)
		}
		return out
	}
	for _, warning := range meta.Warnings {
		out.warnings = append(out.warnings, fmt.Sprintf("cluster %s: %s", name, warning))
	}
	out.Partial = meta.Partial
	for _, found := range out.found {
		out.Total += int64(len(found))
	}
	return out
}

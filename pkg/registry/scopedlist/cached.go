// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package scopedlist

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization/verdicts"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/readcache"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
)

// Verdicts authorizes reads of cached objects by access reviews on the cluster. verdicts.Cache implements it. Callers
// must treat an error as a denial.
type Verdicts interface {
	// AllowedStale returns true if the cluster allows the caller to make the read that the attributes describe. While
	// the cluster is unreachable, AllowedStale may use the result of an earlier access review. latestChange is the time
	// of the latest change of the objects to be read, or later.
	AllowedStale(
		ctx context.Context, caller *clusters.Client, attributes authorizationv1.ResourceAttributes,
		latestChange time.Time, roles verdicts.Roles,
	) (bool, error)
}

// Connected implements readcache.Cluster. It reads the cluster with the ServiceAccount of the read cache.
type Connected struct{ Connection *clusters.Connection }

// Reader implements readcache.Cluster. It returns readcache.ErrNotCached if the read cache is disabled for the cluster,
// or if the cluster has no ServiceAccount for the read cache.
func (c Connected) Reader(ctx context.Context) (rest.Interface, error) {
	reader, err := c.Connection.Reader(ctx)
	if errors.Is(err, clusters.ErrNoReader) {
		return nil, fmt.Errorf("%w: %w", readcache.ErrNotCached, err)
	}
	if err != nil {
		return nil, err //nolint:wrapcheck // it has its context
	}
	client, err := rest.UnversionedRESTClientForConfigAndClient(reader.Config, reader.CacheClient)
	if err != nil {
		return nil, fmt.Errorf("creating a client for the cluster: %w", err)
	}
	return client, nil
}

// tokenTimeout bounds the time for which Connected.enabled waits for a token of the ServiceAccount of the read cache.
const tokenTimeout = 50 * time.Millisecond

// enabled returns false if the read cache is disabled for the cluster, or if the cluster has no ServiceAccount for the
// read cache.
func (c Connected) enabled(ctx context.Context) bool {
	if c.Connection.HasReader() {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	// Only the first token and its renewals need a request to the cluster. After a timeout, the result is true, so that
	// the read cache keeps the objects of a cluster that does not respond.
	_, err := c.Connection.Reader(ctx)
	return !errors.Is(err, clusters.ErrNoReader)
}

// Done implements readcache.Cluster.
func (c Connected) Done() <-chan struct{} { return c.Connection.ReaderDone() }

// Wrote returns a function that tells the read cache about a write to a cluster. The returned function must be called
// after each write. If the user of the Client later reads from the read cache, the result then includes the write.
func Wrote(cache *readcache.Cache) func(*clusters.Client, clusters.Call, clusters.Response) {
	return func(caller *clusters.Client, call clusters.Call, answer clusters.Response) {
		cache.Wrote(Connected{caller.Connection()}, caller.User(), readcache.Write{
			Resource: call.Resource.GroupResource(), Namespace: call.Namespace, Name: call.Name,
			Deleted:  call.Method == http.MethodDelete || call.Subresource == "eviction",
			Response: answer.Body,
		})
	}
}

// Cached is the result of a list from the read cache.
type Cached struct {
	readcache.View

	// Groups contains the objects that the caller may list. Each readcache.Group contains consecutive objects.
	Groups readcache.Groups
	// Partial is true if the caller lacks the right to list the kind in the whole cluster. The result then contains
	// only objects in namespaces in which the caller may list the kind.
	Partial bool
	// Namespaces contains the namespaces in which the caller may list the kind, if Partial is true. Otherwise, it is
	// nil.
	Namespaces []string
}

// Count returns the number of objects in c.Groups.
func (c *Cached) Count() int {
	n := 0
	for g := range c.Groups.All() {
		n += len(g.Objects)
	}
	return n
}

// cachedItems decodes the objects of c to T, a type with few fields. Objects that are too large are added to omitted.
// If omitted is nil, such an object causes an error.
func cachedItems[T any](ctx context.Context, c *Cached, omitted *Omissions) ([]T, error) {
	account, all := budget.AccountFrom(ctx), make([]T, 0, c.Count())
	keep := func(item *T) error {
		if err := objects.HoldSmall(account, item); err != nil {
			return err //nolint:wrapcheck // it has its context
		}
		all = append(all, *item)
		return nil
	}
	for o := range c.Groups.Objects() {
		if err := ctx.Err(); err != nil {
			return nil, envelope.Late(err)
		}
		err := objects.SmallItem(o.JSON, account, keep)
		if errors.Is(err, objects.ErrTooLarge) && omitted != nil {
			omitted.Add(o.Namespace, o.Name)
			continue
		}
		if err != nil {
			return nil, err //nolint:wrapcheck // it has its context
		}
	}
	return all, nil
}

// Meta returns the metadata for a response that contains the cached objects. It shows whether the objects may be
// outdated, and whether the response contains only some namespaces.
func (c *Cached) Meta() dashboardv1alpha1.Meta {
	meta := metaOf(c.View)
	meta.Partial, meta.Namespaces = c.Partial, c.Namespaces
	return meta
}

func metaOf(v readcache.View) dashboardv1alpha1.Meta {
	meta := dashboardv1alpha1.Meta{Source: dashboardv1alpha1.SourceCache, Stale: v.Stale}
	if v.Stale {
		meta.AsOf = &metav1.Time{Time: v.AsOf}
	}
	return meta
}

// Cached returns those objects of t in the read cache that the user may list. If the bool is false, the list must be
// requested from the cluster.
func (c *Client) Cached(ctx context.Context, t objectref.Target) (*Cached, bool, error) {
	// A denial is not returned here, because only the cluster knows its reason.
	allowed := func(v readcache.View) (*Cached, bool, error) { return c.listable(ctx, t, v) }
	return reviewCached(ctx, c, t, allowed)
}

// CachedObject returns the object t from the read cache, and the metadata of the response. The object is nil if it does
// not exist. The returned bool is false if the kind is not cached, or if the caller may not get the object. In both
// cases, the object must be requested from the cluster.
func (c *Client) CachedObject(
	ctx context.Context, t objectref.Target,
) (*readcache.Object, dashboardv1alpha1.Meta, bool, error) {
	found, ok, err := reviewCached(ctx, c, t, func(v readcache.View) (readcache.View, bool, error) {
		attributes := t.Attributes("get")
		if isNamespaces(t.Resource) { // API servers authorize a read of a Namespace in the namespace itself.
			attributes.Namespace = t.Name
		}
		may, err := c.may(ctx, attributes, v)
		return v, may, err
	})
	if err != nil || !ok {
		return nil, dashboardv1alpha1.Meta{}, false, err
	}
	return found.Get(t.Namespace, t.Name), metaOf(found), true, nil
}

// reviewCached passes the cached list of the kind of t to the function review, which must check the access of the
// caller. ok is false if the kind is not cached, or if review returns false.
func reviewCached[T any](
	ctx context.Context, c *Client, t objectref.Target, review func(readcache.View) (T, bool, error),
) (out T, ok bool, err error) {
	if c.cache == nil || c.verdicts == nil || !slices.Contains(t.Resource.Verbs, "watch") {
		return out, false, nil
	}
	cluster := Connected{c.Connection()}
	if !cluster.enabled(ctx) {
		c.cache.Forget(cluster)
		return out, false, nil
	}
	look := func() (readcache.View, bool) {
		return c.cache.Get(ctx, cluster, t.Resource.GroupVersionResource, t.Resource.Kind, c.user.GetName())
	}
	// A caller who may not read the kind must not cause the read cache to list it. Therefore, the access is reviewed
	// without objects first.
	if !c.cache.Holds(cluster, t.Resource.GroupVersionResource) {
		if _, ok, err := review(readcache.View{Snapshot: &readcache.Snapshot{}}); err != nil || !ok {
			return out, false, err
		}
	}
	view, ok := look()
	if !ok {
		return out, false, nil
	}
	return review(view)
}

// may returns true if the cluster allows the caller to read objects of the cached list v. The attributes describe the
// read.
func (c *Client) may(
	ctx context.Context,
	attributes authorizationv1.ResourceAttributes,
	v readcache.View,
) (bool, error) {
	// During an outage of the cluster, the result may come from an earlier access review, and the caller may have lost
	// the right since then. Therefore, the result applies only to objects that have not changed after
	// latestChange.
	latestChange := time.Now()
	if v.Stale {
		latestChange = v.LatestChange
	}
	roles := func(ctx context.Context) ([]kubevisionv1alpha1.RoleReference, error) {
		return c.roles(ctx, attributes.Namespace)
	}
	return c.verdicts.AllowedStale(ctx, c.Client, attributes, latestChange, roles) //nolint:wrapcheck // it has its code
}

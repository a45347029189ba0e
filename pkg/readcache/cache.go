// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package readcache caches the objects of clusters as JSON. To create the JSON of a list, it only concatenates the JSON
// of the objects. If the objects need too much memory, the package evicts resources. It does not check rights. Before a
// caller returns objects to a user, it must check with an access review whether the user may read them on the cluster.
//
// The package lists and watches each cached resource with a Reflector, at a limited rate for each cluster. It stores
// the objects in immutable snapshots, and delivers their changes to subscribers.
package readcache

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/lru"
)

var (
	// ErrNotCached is wrapped by the errors of Cluster.Reader if the cluster must not be cached.
	ErrNotCached = errors.New("the cluster is not cached")

	errTooMuch = errors.New("the objects do not fit into the read cache")
	errEvicted = errors.New("the space is used for other objects")
	errGone    = errors.New("the connection to the cluster is gone, or the cache of the cluster was disabled")
	errIdle    = errors.New("the objects have not been read recently")
)

// Cluster is a connection to a cluster. Values are compared with ==: equal values are the same connection.
type Cluster interface {
	// Reader returns a client that acts as the ServiceAccount of the read cache.
	Reader(ctx context.Context) (rest.Interface, error)
	// Done returns a channel that is closed when objects of the cluster must no longer be cached. When the objects may
	// be cached again, Done returns a new channel.
	Done() <-chan struct{}
}

const (
	firstListTimeout         = 5 * time.Second
	firstListProgressTimeout = time.Second
	// longestFirstList bounds the time for which requests wait until the first list of a resource is complete. It
	// applies even if data of the list still arrives.
	longestFirstList = 20 * time.Second
	// idleTimeout is the time for which a resource remains cached after the last read of the resource.
	idleTimeout = 10 * time.Minute
	// inUseTime protects recently read resources: a resource is not evicted if it was read within this time.
	inUseTime = time.Minute
	// refusedFirst is the time for which a resource is not listed again after the cluster has rejected a list for the
	// first time. It is short, because the cluster may only need a moment to apply the RBAC rules of a new
	// ServiceAccount.
	refusedFirst = time.Second
	// refusedFor bounds the time for which a resource is not listed again after the cluster has rejected several lists.
	// Each rejection doubles this time, up to refusedFor.
	refusedFor = 30 * time.Second
	// tooLargeFor is the time for which a resource is not listed again if it does not fit into the cache.
	tooLargeFor = 2 * time.Minute
	// maxStale is the time for which cached objects are returned after the watch has ended and cannot be started again.
	maxStale = 5 * time.Minute
	// sweepInterval is the time between two searches for resources that are no longer read.
	sweepInterval = 15 * time.Second
	maxKinds      = 4096
	// watchBytes is the memory in bytes that a cached resource needs for goroutines and buffers. The memory of the
	// cached objects is not included.
	watchBytes = 128 << 10
	// maxWrites bounds the number of entries in Cache.writes. If each entry contains maxDeletions names of the maximum
	// length, all entries use about 12 MiB.
	maxWrites = 1024
)

// Cache caches objects of clusters. A nil Cache caches nothing.
type Cache struct {
	pool pool

	mu    sync.Mutex
	kinds map[kindKey]*kind
	// paces contains the rate limits of the clusters that have cached resources or recently had some.
	paces map[Cluster]*pace
	// pauses maps a kindKey to the latest pause of the resource. During a pause, the resource is not cached.
	pauses *lru.Cache
	closed bool

	// evicting serializes makeRoom, so that two calls do not evict two resources where one is enough.
	evicting sync.Mutex

	writesMu sync.Mutex
	// writes contains the recent writes by each user to each resource.
	writes *lru.Cache
}

type kindKey struct {
	cluster  Cluster
	resource schema.GroupVersionResource
}

// New returns a cache that uses at most the given memory, or nil if bytes is 0.
func New(bytes int64) *Cache {
	if bytes <= 0 {
		return nil
	}
	return &Cache{
		pool: pool{limit: bytes}, kinds: map[kindKey]*kind{}, paces: map[Cluster]*pace{},
		pauses: lru.New(maxKinds), writes: lru.New(maxWrites),
	}
}

// Run regularly drops resources that are no longer read, and updates the metrics. When ctx ends, it drops all resources
// and returns.
func (c *Cache) Run(ctx context.Context) {
	if c == nil {
		return
	}
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			c.sweep(time.Now().Add(-idleTimeout))
			c.measure()
		case <-ctx.Done():
			c.mu.Lock()
			c.closed = true
			c.mu.Unlock()
			c.sweep(time.Now().Add(time.Hour))
			return
		}
	}
}

// Forget drops all cached resources of a cluster.
func (c *Cache) Forget(cluster Cluster) {
	var all []*kind
	c.mu.Lock()
	for key, k := range c.kinds {
		if key.cluster == cluster {
			all = append(all, k)
		}
	}
	c.mu.Unlock()
	for _, k := range all {
		c.stop(k, ErrNotCached, 0)
	}
}

// sweep drops the resources that have not been read since the given time. It also drops rate limiters that are no
// longer needed.
func (c *Cache) sweep(since time.Time) {
	var idle []*kind
	c.mu.Lock()
	c.dropIdlePaces()
	for _, k := range c.kinds {
		if k.lastUse().Before(since) {
			idle = append(idle, k)
		}
	}
	c.mu.Unlock()
	for _, k := range idle {
		c.stop(k, errIdle, 0)
	}
}

// cacheable returns false for Secrets, which are never cached, and for resources whose group, version, name or kind is
// longer than API servers allow.
func cacheable(r schema.GroupVersionResource, kindName string) bool {
	return r.GroupResource() != corev1.Resource("secrets") &&
		max(len(r.Group), len(r.Version), len(r.Resource), len(kindName)) <= maxName
}

// View is the cached list of one resource of one cluster.
type View struct {
	*Snapshot

	// Stale is true if the objects may be outdated, because the watch has ended and could not be started again.
	Stale bool
	// AsOf is the time up to which the list includes all changes on the cluster. It is zero if Stale is false.
	AsOf time.Time
	// LatestChange is an upper bound of the time of the last change in the list. It is zero if Stale is false.
	LatestChange time.Time

	store *store
}

// Get returns the cached list of the resource r. kindName is the kind of the objects. The first call starts to cache
// the resource. Get waits some seconds until the list is complete and includes the user's recent writes. It returns
// false if the resource cannot be cached, or if the list does not arrive in time or is too old.
func (c *Cache) Get(
	ctx context.Context,
	cluster Cluster,
	r schema.GroupVersionResource,
	kindName, user string,
) (View, bool) {
	if c == nil || !cacheable(r, kindName) {
		return View{}, false
	}
	k, started := c.getOrStart(kindKey{cluster, r}, kindName) //nolint:contextcheck // the watch outlives the request
	if k == nil || (started && c.makeRoom(k) != nil) {
		requests.WithLabelValues(resultRefused).Inc()
		return View{}, false
	}
	snapshot, ok := k.first(ctx)
	if ok {
		snapshot, ok = c.awaitWrite(ctx, k, snapshot, user)
	}
	if !ok {
		requests.WithLabelValues(resultMissed).Inc()
		return View{}, false
	}
	v := View{Snapshot: snapshot, store: k.store}
	v.AsOf, v.LatestChange, v.Stale = k.source.stale()
	switch {
	case v.Stale && time.Since(v.AsOf) > maxStale:
		requests.WithLabelValues(resultMissed).Inc()
		return View{}, false
	case v.Stale:
		requests.WithLabelValues(resultStale).Inc()
	default:
		requests.WithLabelValues(resultHit).Inc()
	}
	return v, true
}

// Holds returns true if the resource is cached, or if its first list is in progress.
func (c *Cache) Holds(cluster Cluster, r schema.GroupVersionResource) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kinds[kindKey{cluster, r}] != nil
}

// getOrStart returns the cached resource and records the read. If the resource is not cached, getOrStart starts to
// cache it, and started is true. If the resource cannot be cached now, k is nil.
func (c *Cache) getOrStart(key kindKey, kindName string) (k *kind, started bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k = c.kinds[key]
	if k == nil {
		if time.Now().Before(c.lastPauseLocked(key).until) {
			return nil, false
		}
		if c.closed || len(c.kinds) >= maxKinds {
			return nil, false
		}
		k, started = c.start(key, kindName), true
		c.kinds[key] = k
	}
	k.used.Store(time.Now().UnixNano())
	return k, started
}

// pause is a period in which a resource is not cached. It begins when the cluster rejects a list of the resource, or
// when the objects do not fit into the cache.
type pause struct {
	until  time.Time
	length time.Duration
}

// lastPauseLocked returns the last pause of the resource, which may have ended. If there was no pause, lastPauseLocked
// returns the zero value.
func (c *Cache) lastPauseLocked(key kindKey) pause {
	value, _ := c.pauses.Get(key)
	last, _ := value.(pause)
	return last
}

func (p pause) next(maxPause time.Duration) pause {
	length := maxPause
	if maxPause == refusedFor { // a list has failed
		length = refusedFirst
		// If the list fails again soon, the pause doubles.
		if time.Since(p.until) < refusedFor {
			length = min(max(2*p.length, refusedFirst), refusedFor)
		}
	}
	return pause{until: time.Now().Add(length), length: length}
}

// stop drops a cached resource, and logs the reason. If maxPause is not 0, a pause begins, in which the resource is not
// cached again. The method pause.next determines the duration of the pause, which is at most maxPause.
func (c *Cache) stop(k *kind, reason error, maxPause time.Duration) {
	c.mu.Lock()
	if c.kinds[k.key] != k {
		c.mu.Unlock()
		return
	}
	delete(c.kinds, k.key)
	if maxPause > 0 {
		c.pauses.Add(k.key, c.lastPauseLocked(k.key).next(maxPause))
	}
	c.mu.Unlock()
	k.end()
	klog.Background().V(2).Info("A kind is no longer cached",
		"resource", k.key.resource.String(), "reason", reason.Error())
	if errors.Is(reason, errEvicted) || errors.Is(reason, errTooMuch) {
		evictions.Inc()
	}
}

// Resources returns the cached resources of all clusters, for tests.
func (c *Cache) Resources() []schema.GroupVersionResource {
	var out []schema.GroupVersionResource
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.kinds {
		if !slices.Contains(out, key.resource) {
			out = append(out, key.resource)
		}
	}
	return out
}

// Bytes returns the counted memory of the cache, in bytes.
func (c *Cache) Bytes() int64 { return c.pool.used.Load() }

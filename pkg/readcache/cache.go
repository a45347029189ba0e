// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package readcache caches the objects of clusters, encoded as the JSON of responses, so that the JSON of a list is the
// concatenation of its objects. It reviews no rights: before objects are returned to a user, the cluster must have
// allowed that user the read.
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
	// ErrNotCached is wrapped by the errors of a Cluster without an account for the cache.
	ErrNotCached = errors.New("the cluster is not cached")

	errTooMuch = errors.New("the objects do not fit into the read cache")
	errEvicted = errors.New("the space is used for other objects")
	errGone    = errors.New("the connection to the cluster is gone, or the cache of the cluster was disabled")
	errIdle    = errors.New("the objects have not been read recently")
)

// Cluster is a connection to a cluster for the cache. Its type must be comparable: equal values are the same
// connection.
type Cluster interface {
	// Reader returns a client that acts as the account.
	Reader(ctx context.Context) (rest.Interface, error)
	// Done returns a channel that is closed when objects of the cluster must no longer be cached. If they may be cached
	// again, it returns another channel.
	Done() <-chan struct{}
}

const (
	// firstListTimeout bounds the time for which a request waits for the first list of a kind, before it reads from the
	// cluster. The request waits longer, up to longestFirstList, while objects arrive at intervals of at most
	// progressTimeout.
	firstListTimeout = 5 * time.Second
	progressTimeout  = time.Second
	longestFirstList = 20 * time.Second
	// idleTimeout is the time after the last read for which a kind is kept.
	idleTimeout = 10 * time.Minute
	// inUse is the time after the last read for which a kind is not evicted for another one.
	inUse = time.Minute
	// refusedFor is the time for which a kind is not cached after its list was refused. tooLargeFor is the time for a
	// kind that does not fit. The time begins at refusedFirst and doubles with each attempt, because the rights of a
	// new account of the cache may not be effective yet.
	refusedFirst = time.Second
	refusedFor   = 30 * time.Second
	tooLargeFor  = 2 * time.Minute
	// maxStale is the time for which the objects of a kind are used after its watch has broken.
	maxStale = 5 * time.Minute
	// sweepInterval is the time between two searches for unused kinds.
	sweepInterval = 15 * time.Second
	// maxKinds bounds the cached kinds, and the recorded refusals.
	maxKinds = 4096
	// watchBytes is the memory of a kind without objects: its goroutines, and the buffers of its watch.
	watchBytes = 128 << 10
	// maxWrites bounds the writes that are recorded for later reads.
	maxWrites = 4096
)

// Cache caches the objects of clusters. A nil Cache caches none.
type Cache struct {
	pool pool

	mu      sync.Mutex
	kinds   map[kindKey]*kind
	refused *lru.Cache
	closed  bool

	// writing is locked while a write is recorded.
	writing sync.Mutex
	writes  *lru.Cache
}

type kindKey struct {
	cluster  Cluster
	resource schema.GroupVersionResource
}

// New returns a cache with a limit in bytes, or nil if the limit is 0.
func New(bytes int64) *Cache {
	if bytes <= 0 {
		return nil
	}
	return &Cache{
		pool: pool{limit: bytes}, kinds: map[kindKey]*kind{}, refused: lru.New(maxKinds), writes: lru.New(maxWrites),
	}
}

// Run removes unused kinds until the context ends. Then it removes all kinds.
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

// Forget removes all kinds of a cluster.
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

// sweep removes kinds that were not read since the given time.
func (c *Cache) sweep(since time.Time) {
	var idle []*kind
	c.mu.Lock()
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

// cacheable returns true if objects of a kind may be cached. Secrets are always read as the user, whatever rights the
// account of the cache has.
func cacheable(r schema.GroupVersionResource) bool {
	return r.GroupResource() != corev1.Resource("secrets")
}

// View is the cached content of a kind.
type View struct {
	*Snapshot

	// Stale is true if the watch is broken. AsOf is then the last time at which the watch worked.
	Stale bool
	AsOf  time.Time

	store *store
}

// Get returns the objects of a kind, including earlier writes of the user. It returns false if the kind must be read
// from the cluster. The first call starts to cache the kind.
func (c *Cache) Get(
	ctx context.Context,
	cluster Cluster,
	r schema.GroupVersionResource,
	kindName, user string,
) (View, bool) {
	if c == nil || !cacheable(r) {
		return View{}, false
	}
	k, started := c.kind(kindKey{cluster, r}, kindName) //nolint:contextcheck // the watch outlives the request
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
	v.AsOf, v.Stale = k.source.stale()
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

// Holds returns true if a kind is cached.
func (c *Cache) Holds(cluster Cluster, r schema.GroupVersionResource) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kinds[kindKey{cluster, r}] != nil
}

// kind returns a cached kind, or nil, and true if it was not cached before.
func (c *Cache) kind(key kindKey, name string) (k *kind, started bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k = c.kinds[key]
	if k == nil {
		if time.Now().Before(c.refusalOf(key).until) {
			return nil, false
		}
		if c.closed || len(c.kinds) >= maxKinds {
			return nil, false
		}
		k, started = c.start(key, name), true
		c.kinds[key] = k
	}
	k.used.Store(time.Now().UnixNano())
	return k, started
}

// refusal is a period in which a kind is not cached.
type refusal struct {
	until time.Time
	pause time.Duration
}

// refusalOf returns the last refusal of a kind. The caller must hold the lock.
func (c *Cache) refusalOf(key kindKey) refusal {
	value, _ := c.refused.Get(key)
	last, _ := value.(refusal)
	return last
}

// next returns the refusal that follows this one, with the maximum duration most. A refusal of a kind that does not fit
// always has the maximum duration.
func (r refusal) next(most time.Duration) refusal {
	pause := most
	if most == refusedFor {
		pause = refusedFirst
		if time.Since(r.until) < refusedFor {
			pause = min(max(2*r.pause, refusedFirst), refusedFor)
		}
	}
	return refusal{until: time.Now().Add(pause), pause: pause}
}

// stop stops the watch of a kind and drops its objects. The kind is not cached again until its refusal has ended.
func (c *Cache) stop(k *kind, why error, pause time.Duration) {
	c.mu.Lock()
	if c.kinds[k.key] != k {
		c.mu.Unlock()
		return
	}
	delete(c.kinds, k.key)
	if pause > 0 {
		c.refused.Add(k.key, c.refusalOf(k.key).next(pause))
	}
	c.mu.Unlock()
	k.end()
	klog.Background().V(2).Info("A kind is no longer cached",
		"resource", k.key.resource.String(), "reason", why.Error())
	if errors.Is(why, errEvicted) || errors.Is(why, errTooMuch) {
		evictions.Inc()
	}
}

// makeRoom stops kinds that are not in use, the least recently read first, until the remaining kinds fit. If they do
// not fit, it stops newcomer and returns an error.
func (c *Cache) makeRoom(newcomer *kind) error {
	for c.pool.over() {
		c.mu.Lock()
		var oldest *kind
		for _, k := range c.kinds {
			if k != newcomer && (oldest == nil || k.used.Load() < oldest.used.Load()) {
				oldest = k
			}
		}
		c.mu.Unlock()
		if oldest == nil || time.Since(oldest.lastUse()) < inUse {
			c.stop(newcomer, errTooMuch, tooLargeFor)
			return errTooMuch
		}
		c.stop(oldest, errEvicted, 0)
	}
	return nil
}

// Resources returns the cached kinds. It is used by tests.
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

// Bytes returns the accounted memory of all objects.
func (c *Cache) Bytes() int64 { return c.pool.used.Load() }

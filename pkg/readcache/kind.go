// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	toolscache "k8s.io/client-go/tools/cache"
)

// kind is one kind of one cluster, with its Reflector.
type kind struct {
	key    kindKey
	store  *store
	source *source
	cancel context.CancelFunc
	// started is the time of the first read.
	started time.Time
	// used is the time of the last read, in nanoseconds.
	used atomic.Int64
	// ended is true after the kind was stopped.
	ended atomic.Bool
}

// itemBytes is the memory of a list entry in an incomplete list.
const itemBytes = 2 * 16

// backoff returns the pauses between attempts to reach a cluster. They are shorter than those of a Reflector, so that
// the objects do not stay stale for a minute after the cluster is reachable again.
func backoff() *wait.Backoff {
	const first, most, steps = 200 * time.Millisecond, 5 * time.Second, 10
	return &wait.Backoff{Duration: first, Cap: most, Steps: steps, Factor: 2, Jitter: 1} //nolint:mnd // as the library
}

// start starts to cache a kind. The caller must hold the lock of the cache.
func (c *Cache) start(key kindKey, name string) *kind {
	ctx, cancel := context.WithCancel(context.Background())
	account := &account{pool: &c.pool}
	k := &kind{key: key, store: &store{account: account}, cancel: cancel, started: time.Now()}
	k.source = &source{
		cluster: key.cluster, resource: key.resource, kind: key.resource.GroupVersion().WithKind(name),
		begin: account.begin, pace: c.paceOf(key.cluster),
	}
	k.source.late = func() { c.stop(k, errLongList, refusedFor) }
	k.source.keep = func(o *Object, listed bool) (*Object, error) {
		if k.ended.Load() {
			return nil, errEvicted
		}
		loaded := o.memory()
		if same := k.store.same(o); same != nil { // The object is charged already, but its list entry is not.
			o, loaded = same, itemBytes
		}
		if listed {
			account.load(loaded)
		}
		return o, c.makeRoom(k)
	}
	k.source.buffered = func(bytes int64) error {
		account.buffer(bytes)
		if bytes < 0 {
			return nil
		}
		return c.makeRoom(k)
	}
	account.buffer(watchBytes)
	k.source.noted = func() {
		if err := k.source.failed(); err != nil && refused(err) {
			c.stop(k, err, refusedFor)
		}
		k.store.wake()
	}
	k.used.Store(time.Now().UnixNano())
	reflector := toolscache.NewReflectorWithOptions(k.source, &Object{}, k.store, toolscache.ReflectorOptions{
		Name: "readcache", TypeDescription: key.resource.String(), Backoff: backoff(),
	})
	go reflector.RunWithContext(ctx)
	gone := key.cluster.Done()
	go func() {
		select {
		case <-gone:
			c.stop(k, errGone, 0)
		case <-ctx.Done():
		}
	}()
	return k
}

// paceOf returns the rate limit for the changes of a cluster, which all of its kinds share. The caller must hold the
// lock of the cache.
func (c *Cache) paceOf(cluster Cluster) *rate.Limiter {
	for key, k := range c.kinds {
		if k != nil && key.cluster == cluster {
			return k.source.pace
		}
	}
	return rate.NewLimiter(eventRate, eventBurst)
}

// refused returns true if an error means that the account may not watch the kind, or that the kind does not exist.
func refused(err error) bool {
	return errors.Is(err, ErrNotCached) || apierrors.IsForbidden(err) || apierrors.IsNotFound(err) ||
		apierrors.IsMethodNotSupported(err) || apierrors.IsNotAcceptable(err) || errors.Is(err, errNoMetadata) ||
		errors.Is(err, errNotUTF8) || errors.Is(err, errManyLabels) || errors.Is(err, errManyPages)
}

func (k *kind) lastUse() time.Time { return time.Unix(0, k.used.Load()) }

// end stops the Reflector and releases the memory.
func (k *kind) end() {
	k.ended.Store(true)
	k.cancel()
	k.source.endList()
	k.store.account.close()
	k.store.mu.Lock()
	k.store.dropHolds(0)
	k.store.mu.Unlock()
	k.store.wake()
	k.store.endSubscriptions()
}

// first returns the content. It waits for the first list, unless the cluster is not readable.
func (k *kind) first(ctx context.Context) (*Snapshot, bool) {
	if s := k.store.snapshot(); s != nil {
		return s, !k.ended.Load()
	}
	last := k.started.Add(longestFirstList)
	for deadline := k.started.Add(firstListTimeout); ; {
		s, ok := k.firstBefore(ctx, deadline)
		deadline = k.source.lastSign().Add(progressTimeout)
		if deadline.After(last) {
			deadline = last
		}
		if ok || ctx.Err() != nil || !deadline.After(time.Now()) {
			return s, ok && s != nil && !k.ended.Load()
		}
	}
}

// firstBefore waits for the first list, or for the reason why the kind cannot be listed. It returns false if the
// deadline passes first.
func (k *kind) firstBefore(ctx context.Context, deadline time.Time) (*Snapshot, bool) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return k.store.await(ctx, func(s *Snapshot) bool {
		return s != nil || k.ended.Load() || k.source.failed() != nil
	})
}

// same returns the stored object if it has the same version and JSON, or nil.
func (s *store) same(o *Object) *Object {
	current := s.snapshot()
	if current == nil || o.ResourceVersion == "" {
		return nil
	}
	if old := current.Get(o.Namespace, o.Name); old != nil && old.ResourceVersion == o.ResourceVersion &&
		bytes.Equal(old.JSON, o.JSON) {
		return old
	}
	return nil
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	toolscache "k8s.io/client-go/tools/cache"
)

// kind is a cached resource of one cluster: its store, and the Reflector that writes to it.
type kind struct {
	key    kindKey
	store  *store
	source *source
	cancel context.CancelFunc
	// started is the time of the first request for the resource. At this time, the cache began to read the resource
	// from the cluster.
	started time.Time
	// used is the Unix time of the last request for the resource, in nanoseconds. Each subscription also updates it at
	// regular intervals.
	used atomic.Int64
	// ended is true after the resource was dropped.
	ended atomic.Bool
}

// itemBytes is the memory of a reference to an object in a list, in bytes. It does not include the object itself.
const itemBytes = 2 * 16

// backoff returns the pauses between attempts to list or watch. The default pauses of a Reflector are longer. With the
// default pauses, objects could remain stale for a minute after the cluster has become reachable again.
func backoff() *wait.Backoff {
	const first, most, steps = 200 * time.Millisecond, 5 * time.Second, 10
	return &wait.Backoff{Duration: first, Cap: most, Steps: steps, Factor: 2, Jitter: 1} //nolint:mnd // as the library
}

// start begins to cache a resource. It starts two goroutines: the Reflector, and a goroutine that drops the resource
// when the connection to the cluster is gone. kindName is the kind of the objects, such as Pod. The caller must hold
// the lock of the cache.
func (c *Cache) start(key kindKey, kindName string) *kind {
	ctx, cancel := context.WithCancel(context.Background())
	account := &account{pool: &c.pool}
	k := &kind{key: key, store: &store{account: account}, cancel: cancel, started: time.Now()}
	k.source = &source{
		cluster: key.cluster, resource: key.resource, kind: key.resource.GroupVersion().WithKind(kindName),
		beforeList: account.resetLoading, pace: c.paceOf(key.cluster),
	}
	k.source.late = func() { c.stop(k, errLongList, refusedFor) }
	k.source.keep = func(o *Object, fromList bool) (*Object, error) {
		if k.ended.Load() {
			return nil, errEvicted
		}
		loaded := o.memory()
		if same := k.store.same(o); same != nil { // The account already includes the object, but not its list entry.
			o, loaded = same, itemBytes
		}
		if fromList {
			account.load(loaded)
		}
		return o, c.makeRoom(k)
	}
	k.source.countMemory = func(bytes int64) error {
		account.buffer(bytes)
		if bytes < 0 {
			return nil
		}
		return c.makeRoom(k)
	}
	account.buffer(watchBytes)
	k.source.noted = func(err error) {
		if err != nil && refused(err) {
			c.stop(k, err, refusedFor)
		}
		k.store.wake()
	}
	k.used.Store(time.Now().UnixNano())
	written := pacedStore{store: k.store, pace: k.source.pace}
	reflector := toolscache.NewReflectorWithOptions(k.source, &Object{}, written, toolscache.ReflectorOptions{
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

// refused returns true for errors that mean that the resource cannot be cached. For example, the cluster does not serve
// the resource, the ServiceAccount may not list it, or an object is invalid or too large.
func refused(err error) bool {
	return errors.Is(err, ErrNotCached) || apierrors.IsForbidden(err) || apierrors.IsNotFound(err) ||
		apierrors.IsMethodNotSupported(err) || apierrors.IsNotAcceptable(err) || errors.Is(err, errNoMetadata) ||
		errors.Is(err, errNotUTF8) || errors.Is(err, errManyLabels) || errors.Is(err, errManyPages) ||
		errors.Is(err, errTooLarge) || errors.Is(err, errLongVersion) || errors.Is(err, errLargeFields)
}

func (k *kind) lastUse() time.Time { return time.Unix(0, k.used.Load()) }

// end stops the Reflector, drops the objects, and ends responses and subscriptions that use them.
func (k *kind) end() {
	k.ended.Store(true)
	k.cancel()
	k.source.cancelListTimer()
	k.store.close()
}

// first returns the cached list. If there is none, it waits for the first list. It returns false if the list does not
// arrive in time or fails, or if the resource was dropped.
func (k *kind) first(ctx context.Context) (*Snapshot, bool) {
	if s := k.store.snapshot(); s != nil {
		return s, !k.ended.Load()
	}
	last := k.started.Add(longestFirstList)
	// After firstListTimeout, the wait goes on while data of the list arrives.
	for deadline := k.started.Add(firstListTimeout); ; {
		s, ok := k.firstBefore(ctx, deadline)
		deadline = k.source.lastSign().Add(firstListProgressTimeout)
		if deadline.After(last) {
			deadline = last
		}
		if ok || ctx.Err() != nil || !deadline.After(time.Now()) {
			return s, ok && s != nil && !k.ended.Load()
		}
	}
}

// firstBefore waits until the first list is complete or has failed, and then returns true. After a failure, the
// returned Snapshot is nil. If the deadline passes or ctx ends first, firstBefore returns false.
func (k *kind) firstBefore(ctx context.Context, deadline time.Time) (*Snapshot, bool) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return k.store.await(ctx, func(s *Snapshot) bool {
		return s != nil || k.ended.Load() || k.source.hasFailed()
	})
}

// same returns the stored object if its resource version and JSON are those of o. It returns nil if they differ.
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

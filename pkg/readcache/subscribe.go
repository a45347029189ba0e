// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Change describes the creation, update or deletion of one object.
type Change struct {
	Namespace, Name string
	// Object is the object after the change, or nil if it was deleted.
	Object *Object
	// Created is true if the object did not exist before.
	Created bool
	// Version is the resource version of the change.
	Version string
}

// Changes contains the changes that a subscriber receives in one call: one change from a watch event, or all changes
// after a new list.
type Changes struct {
	// All is an iterator over the changes. It is valid only until the function that receives the Changes returns.
	All iter.Seq[Change]
	// Version is the resource version of the cached list after the changes.
	Version string
	// After is the cached list after the changes.
	After *Snapshot
	// Relisted is true if All contains the differences between the previous cached list and a new list. Objects that
	// were created and deleted between the two lists are missing. Relisted is false for a watch event.
	Relisted bool
}

// Subscription delivers the changes of one resource of one cluster. Cache.Subscribe creates it.
type Subscription struct {
	// A Subscription must not refer to objects. Otherwise, it could keep replaced objects in memory. The cache would
	// not count this memory.

	kind    *kind
	deliver func(Changes)
	// counted is the sum of all arguments of Count, in bytes. The lock of the store guards it.
	counted int64
	end     sync.Once
	ended   chan struct{}
}

// Subscribe subscribes to the changes of the resource r of a cluster. The returned Snapshot is the cached list before
// the first change. Subscribe returns false if the resource cannot be cached, or if the first list does not arrive in
// time.
//
// The cache calls deliver for each change, in order. The function deliver must not block. It must not call methods of
// the Cache or of the Subscription, except Subscription.Count. After the first call of deliver, the caller must not
// keep the Snapshot, because the cache no longer counts the memory of the Snapshot.
func (c *Cache) Subscribe(
	ctx context.Context, cluster Cluster, r schema.GroupVersionResource, kindName string, deliver func(Changes),
) (*Subscription, *Snapshot, bool) {
	if c == nil || !cacheable(r, kindName) {
		return nil, nil, false
	}
	k, started := c.getOrStart(kindKey{cluster, r}, kindName) //nolint:contextcheck // the watch outlives the request
	if k == nil || (started && c.makeRoom(k) != nil) {
		return nil, nil, false
	}
	if _, ok := k.first(ctx); !ok {
		return nil, nil, false
	}
	s := &Subscription{kind: k, deliver: deliver, ended: make(chan struct{})}
	k.store.mu.Lock()
	defer k.store.mu.Unlock()
	current := k.store.snapshot()
	if k.ended.Load() || current == nil {
		return nil, nil, false
	}
	if k.store.subscriptions == nil {
		k.store.subscriptions = map[*Subscription]bool{}
	}
	k.store.subscriptions[s] = true
	// The resource is not dropped as unused. It may still be evicted if the cache exceeds its memory limit.
	go s.keep()
	return s, current, true
}

// keep marks the resource as used at regular intervals. It returns when the subscription ends.
func (s *Subscription) keep() {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.kind.used.Store(time.Now().UnixNano())
		case <-s.ended:
			return
		}
	}
}

// Ended returns a channel that is closed when no more changes will be delivered: the resource is no longer cached, or
// Close was called.
func (s *Subscription) Ended() <-chan struct{} { return s.ended }

// Current returns the current list. It is empty if the resource is no longer cached.
func (s *Subscription) Current() View {
	v := View{Snapshot: s.kind.store.snapshot(), store: s.kind.store}
	if v.Snapshot == nil {
		v.Snapshot = &Snapshot{}
	}
	v.AsOf, v.LatestChange, v.Stale = s.kind.source.stale()
	return v
}

// Count adds memory of the subscriber to the memory of the cached resource, in bytes. A negative number subtracts
// memory. Count may be called only during a call of the function that was passed to Subscribe, because the necessary
// lock is held only then.
func (s *Subscription) Count(bytes int64) {
	// If the cache exceeds its limit, the next event of the resource evicts resources.
	s.counted += bytes
	s.kind.store.account.buffer(bytes)
}

// Close ends the subscription, and reduces the counted memory of the cached resource by the bytes that Count has added.
func (s *Subscription) Close() {
	s.kind.store.mu.Lock()
	defer s.kind.store.mu.Unlock()
	if s.kind.store.subscriptions[s] {
		delete(s.kind.store.subscriptions, s)
		s.Count(-s.counted)
	}
	s.finish()
}

func (s *Subscription) finish() { s.end.Do(func() { close(s.ended) }) }

// tell delivers changes to all subscribers. The caller must hold the lock.
func (s *store) tell(changes Changes) {
	for sub := range s.subscriptions {
		sub.deliver(changes) // it does not block, because the lock is held
	}
}

// tellChanged delivers the change of one object to all subscribers. before is the cached list before the change. o is
// the object after the change, or nil if it was deleted. version is the resource version of the change. The caller must
// hold the lock of the store.
func (s *store) tellChanged(namespace, name string, before *Snapshot, o *Object, version string) {
	if len(s.subscriptions) == 0 {
		return
	}
	created := before.Get(namespace, name) == nil
	change := Change{Namespace: namespace, Name: name, Object: o, Created: created, Version: version}
	s.tell(Changes{All: slices.Values([]Change{change}), Version: version, After: s.snapshot()})
}

// tellReplaced delivers the difference between two lists to all subscribers. The caller must hold the lock.
func (s *store) tellReplaced(before, after *Snapshot) {
	if len(s.subscriptions) == 0 || before == nil {
		return
	}
	s.tell(Changes{
		All: differences(before, after), Version: after.ResourceVersion, After: after, Relisted: true,
	})
}

// differences returns an iterator over the differences between two lists: first the deletions, then the other changes.
// It compares the pointers to the objects, not the resource versions. After a CustomResourceDefinition has changed, API
// servers may send a different object with the same resource version.
func differences(before, after *Snapshot) iter.Seq[Change] {
	return func(yield func(Change) bool) { // computes the changes one by one, to save memory
		for o := range before.Groups.Objects() {
			deleted := Change{Namespace: o.Namespace, Name: o.Name, Version: after.ResourceVersion}
			if after.Get(o.Namespace, o.Name) == nil && !yield(deleted) {
				return
			}
		}
		for o := range after.Groups.Objects() {
			old := before.Get(o.Namespace, o.Name)
			if old == o {
				continue
			}
			if !yield(Change{
				Namespace: o.Namespace, Name: o.Name, Object: o, Created: old == nil, Version: after.ResourceVersion,
			}) {
				return
			}
		}
	}
}

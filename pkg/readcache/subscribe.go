// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Change is a change of one object.
type Change struct {
	Namespace, Name string
	// Object is the object after the change, or nil if it was deleted.
	Object *Object
	// Created is true if there was no object with the name before.
	Created bool
	// Version is the resource version of the change.
	Version string
}

// Changes are changes that a store reports together.
type Changes struct {
	All []Change
	// Version is the resource version of the list after the changes. After is the content.
	Version string
	After   *Snapshot
	// Relisted is true if the changes are the difference between two lists. Changes between these lists that cancel
	// each other are missing.
	Relisted bool
}

// Subscription is a subscription to the changes of one kind of one cluster.
type Subscription struct {
	// Snapshot is the content before the first change.
	*Snapshot

	kind    *kind
	deliver func(Changes)
	// counted is the memory that was charged with Count. The lock of the store guards it.
	counted int64
	end     sync.Once
	ended   chan struct{}
}

// Subscribe subscribes to the changes of a kind. deliver is called with all changes after the snapshot, in order. The
// store is locked during the call, so deliver must not block and must not call the cache. Subscribe returns false if
// the kind is not cached. A kind with a subscription remains cached, unless its memory is needed for other kinds.
func (c *Cache) Subscribe(
	ctx context.Context, cluster Cluster, r schema.GroupVersionResource, kindName string, deliver func(Changes),
) (*Subscription, bool) {
	if c == nil || !cacheable(r) {
		return nil, false
	}
	k, started := c.kind(kindKey{cluster, r}, kindName) //nolint:contextcheck // the watch outlives the request
	if k == nil || (started && c.makeRoom(k) != nil) {
		return nil, false
	}
	if _, ok := k.first(ctx); !ok {
		return nil, false
	}
	s := &Subscription{kind: k, deliver: deliver, ended: make(chan struct{})}
	k.store.mu.Lock()
	defer k.store.mu.Unlock()
	s.Snapshot = k.store.snapshot()
	if k.ended.Load() || s.Snapshot == nil {
		return nil, false
	}
	if k.store.subscriptions == nil {
		k.store.subscriptions = map[*Subscription]bool{}
	}
	k.store.subscriptions[s] = true
	go s.keep()
	return s, true
}

// keep prevents the eviction of the unused kind until the subscription ends.
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

// Ended returns a channel that is closed when no more changes are delivered: the kind is no longer cached, or the
// subscription was closed.
func (s *Subscription) Ended() <-chan struct{} { return s.ended }

// Current returns the current content.
func (s *Subscription) Current() View {
	v := View{Snapshot: s.kind.store.snapshot(), store: s.kind.store}
	v.AsOf, v.Stale = s.kind.source.stale()
	return v
}

// Count adds bytes that the subscriber holds to the memory of the kind. The number may be negative. If the cache then
// exceeds its limit, the next event of the kind evicts unused kinds or, if that is not enough, this kind. The caller
// must hold the lock of the store, as deliver does.
func (s *Subscription) Count(bytes int64) {
	s.counted += bytes
	s.kind.store.account.buffer(bytes)
}

// Close ends the subscription.
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

// endSubscriptions ends all subscriptions of a store whose kind is no longer cached.
func (s *store) endSubscriptions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sub := range s.subscriptions {
		sub.finish()
	}
	s.subscriptions = nil
}

// tell delivers changes. The caller must hold the lock.
func (s *store) tell(changes Changes) {
	for sub := range s.subscriptions {
		sub.deliver(changes)
	}
}

// tellChanged delivers the change of one object. The caller must hold the lock.
func (s *store) tellChanged(namespace, name string, before *Snapshot, o *Object, version string) {
	if len(s.subscriptions) == 0 {
		return
	}
	existed := before.Get(namespace, name) != nil
	if !existed && o == nil {
		return
	}
	change := Change{Namespace: namespace, Name: name, Object: o, Created: !existed, Version: version}
	s.tell(Changes{All: []Change{change}, Version: version, After: s.snapshot()})
}

// tellReplaced delivers the difference between two lists. The caller must hold the lock.
func (s *store) tellReplaced(before, after *Snapshot) {
	if len(s.subscriptions) == 0 || before == nil {
		return
	}
	changes := Changes{Version: after.ResourceVersion, After: after, Relisted: true}
	for o := range before.Groups.Objects() {
		if after.Get(o.Namespace, o.Name) == nil {
			deleted := Change{Namespace: o.Namespace, Name: o.Name, Version: after.ResourceVersion}
			changes.All = append(changes.All, deleted)
		}
	}
	for o := range after.Groups.Objects() {
		old := before.Get(o.Namespace, o.Name)
		if old == nil || old.ResourceVersion != o.ResourceVersion {
			changes.All = append(changes.All, Change{
				Namespace: o.Namespace, Name: o.Name, Object: o, Created: old == nil, Version: after.ResourceVersion,
			})
		}
	}
	s.tell(changes)
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/util/resourceversion"
	toolscache "k8s.io/client-go/tools/cache"
)

// store contains the objects of one resource of one cluster. A Reflector writes to it. Readers load an immutable
// snapshot, without a lock.
type store struct {
	account *account
	current atomic.Pointer[Snapshot]

	// mu serializes writers, and guards all fields below.
	mu sync.Mutex
	// changed is closed on the next change. It is nil if no goroutine waits for a change.
	changed chan struct{}
	holds   holdList
	// subscriptions receive all changes.
	subscriptions map[*Subscription]bool
	// closed is true after the resource was dropped. The store then contains no objects.
	closed bool
}

var (
	_ toolscache.ReflectorStore         = &store{}
	_ toolscache.ResourceVersionUpdater = &store{}
)

// snapshot returns the current content, or nil before the first list.
func (s *store) snapshot() *Snapshot { return s.current.Load() }

// publish stores next as the current snapshot, and wakes waiting goroutines. replaced is the memory that only the
// previous snapshot uses: objects, compressed JSON and summaries. The caller must hold the lock.
func (s *store) publish(next *Snapshot, replaced int64) {
	if s.closed {
		return
	}
	s.holds.replacedBytes += replaced
	next.replacedBytesAtCreation = s.holds.replacedBytes
	s.current.Store(next)
	s.limitHeld(s.account.pool.limit / heldMemoryDivisor)
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

func (s *store) close() {
	s.account.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.current.Store(nil)
	for len(s.holds.all) > 0 {
		s.dropOldest()
	}
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
	for sub := range s.subscriptions {
		sub.finish()
	}
	s.subscriptions = nil
}

// Replace implements toolscache.ReflectorStore.
func (s *store) Replace(list []any, version string) error {
	objects := make([]*Object, 0, len(list))
	for _, item := range list {
		o, ok := item.(*Object)
		if !ok {
			return errType(item)
		}
		objects = append(objects, o)
	}
	compare := func(a, b *Object) int { return compareKeys(a.Namespace, a.Name, b.Namespace, b.Name) }
	slices.SortFunc(objects, compare)
	objects = slices.CompactFunc(objects, func(a, b *Object) bool { return compare(a, b) == 0 })
	next := &Snapshot{ResourceVersion: version, Count: len(objects)}
	var groups []*Group
	for begin := 0; begin < len(objects); {
		end := begin + 1
		for end < len(objects) && end-begin < groupSize && objects[end].Namespace == objects[begin].Namespace {
			end++
		}
		groups = append(groups, newGroup(slices.Clone(objects[begin:end]), s.account))
		begin = end
	}
	next.Groups = newGroups(groups)
	var bytes int64
	for _, o := range objects {
		bytes += o.memory()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.snapshot()
	var replaced int64
	if old != nil {
		replaced = old.drop(next)
	}
	s.account.finishLoading(bytes)
	s.publish(next, replaced)
	s.tellReplaced(old, next)
	return nil
}

func errType(object any) error { return fmt.Errorf("an object of the type %T is not kept", object) }

// Add implements toolscache.ReflectorStore.
func (s *store) Add(object any) error { return s.Update(object) }

// Update implements toolscache.ReflectorStore.
func (s *store) Update(object any) error {
	o, ok := object.(*Object)
	if !ok {
		return errType(object)
	}
	s.change(o.Namespace, o.Name, o, o.ResourceVersion)
	return nil
}

// Delete implements toolscache.ReflectorStore.
func (s *store) Delete(object any) error {
	o, ok := object.(*Object)
	if !ok {
		return errType(object)
	}
	s.change(o.Namespace, o.Name, nil, o.ResourceVersion)
	return nil
}

// Resync implements toolscache.ReflectorStore.
func (*store) Resync() error { return nil }

// UpdateResourceVersion implements toolscache.ResourceVersionUpdater. The Reflector calls it after each event,
// including bookmarks.
func (s *store) UpdateResourceVersion(version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.snapshot(); old != nil && old.ResourceVersion != version {
		next := *old
		next.ResourceVersion = version
		s.publish(&next, 0)
	}
}

// change stores the object o, or removes the object namespace/name if o is nil. version is the resource version of the
// change.
func (s *store) change(namespace, name string, o *Object, version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.snapshot()
	if old == nil {
		old = &Snapshot{}
	}
	if o == nil && old.Get(namespace, name) == nil {
		return // subscribers keep the groups of the last snapshot that they have received
	}
	next := *old
	place, found := old.Groups.place(namespace, name)
	var before []*Object
	var freed int64
	groups := 0
	if found {
		group := old.Groups.at(place)
		before, freed, groups = group.Objects, group.drop(), 1
	}
	after, delta, replaced := changed(before, name, o)
	next.Count += len(after) - len(before)
	next.Groups = old.Groups.replace(place, groups, s.grouped(after))
	s.account.add(delta)
	s.publish(&next, freed+replaced)
	s.tellChanged(namespace, name, old, o, version)
}

// changed returns a copy of objects with one change. If o is nil, the object with the given name is removed. If o is
// not nil, o is added, or replaces the object with the given name. delta is the change of the memory, in bytes.
// replaced is the memory of the replaced or removed object, in bytes.
func changed(objects []*Object, name string, o *Object) (after []*Object, delta, replaced int64) {
	g := Group{Objects: objects}
	i, found := g.find(name)
	rest := objects[i:]
	if found {
		replaced = objects[i].memory()
		rest = objects[i+1:]
	}
	if o == nil {
		return slices.Concat(objects[:i], rest), -replaced, replaced
	}
	return slices.Concat(objects[:i], []*Object{o}, rest), o.memory() - replaced, replaced
}

func (s *store) grouped(objects []*Object) []*Group {
	switch n := len(objects); {
	case n == 0:
		return nil
	case n < 2*groupSize:
		return []*Group{newGroup(objects, s.account)}
	default: // two Groups are enough, because each change adds at most one object
		return []*Group{
			newGroup(slices.Clone(objects[:n/2]), s.account),
			newGroup(slices.Clone(objects[n/2:]), s.account),
		}
	}
}

// await waits until holds() returns true for the current snapshot, and returns this snapshot. It returns false if ctx
// ends first.
func (s *store) await(ctx context.Context, holds func(*Snapshot) bool) (*Snapshot, bool) {
	for {
		s.mu.Lock()
		current := s.snapshot()
		if holds(current) {
			s.mu.Unlock()
			return current, true
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		next := s.changed
		s.mu.Unlock()
		select {
		case <-next:
		case <-ctx.Done():
			return nil, false
		}
	}
}

// reaches returns true if the resource version of the snapshot is at least version. It returns false if the resource
// versions cannot be compared.
func (s *Snapshot) reaches(version string) bool {
	if s == nil {
		return false
	}
	c, err := resourceversion.CompareResourceVersion(s.ResourceVersion, version)
	return err == nil && c >= 0
}

// wake makes each goroutine that waits in await() check its condition again.
func (s *store) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

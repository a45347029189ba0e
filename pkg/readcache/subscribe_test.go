// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"runtime"
	"testing"
	"time"
	"weak"
)

func isCollected[T any](p weak.Pointer[T]) bool {
	for range 100 {
		runtime.GC()
		if p.Value() == nil {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

// TestSubscriptionsHoldNoObjects verifies that a subscription does not keep replaced objects in memory. The cache would
// not count this memory.
func TestSubscriptionsHoldNoObjects(t *testing.T) {
	c, f := runCache(t, 1<<20), newFakeCluster(t, 10)
	s, first, ok := c.Subscribe(t.Context(), f, core("a"), "Kind", func(Changes) {})
	if !ok {
		t.Fatal("the kind is not cached")
	}
	old := weak.Make(first.Get("n", "o0"))
	if err := s.kind.store.Replace(nil, "9"); err != nil {
		t.Fatal(err)
	}
	if !isCollected(old) {
		t.Error("a deleted object is still in memory")
	}
	runtime.KeepAlive(s)
}

// TestRelistedObjectsAreDelivered verifies that subscribers receive each new copy of an object after a new list, even
// if the resource version is unchanged. Otherwise, subscribers would keep the old copy in memory, and the cache would
// not count this memory.
func TestRelistedObjectsAreDelivered(t *testing.T) {
	c, f := runCache(t, 1<<20), newFakeCluster(t, 10)
	got := map[string]Change{}
	s, first, ok := c.Subscribe(t.Context(), f, core("a"), "Kind", func(changes Changes) {
		for change := range changes.All {
			got[change.Name] = change
		}
	})
	if !ok {
		t.Fatal("the kind is not cached")
	}
	same := *first.Get("n", "o1")
	added := testObject("n", "added", 9)
	if err := s.kind.store.Replace([]any{first.Get("n", "o0"), &same, added}, "9"); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got["o1"].Object != &same || got["o1"].Created || got["added"].Object != added ||
		!got["added"].Created {
		t.Errorf("got %+v", got)
	}
	clear(got)
	if err := s.kind.store.Replace([]any{added}, "10"); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got["o0"].Object != nil || got["o1"].Object != nil || got["o0"].Version != "10" {
		t.Errorf("got %+v", got)
	}
}

// TestUnknownDeletions verifies that the cache ignores the deletion of an object that is not cached. Otherwise,
// subscribers would use memory that the cache does not count.
func TestUnknownDeletions(t *testing.T) {
	s := &store{account: &account{pool: &pool{limit: 1 << 20}}}
	if err := s.Replace([]any{filledObject("a", 1000, 1)}, "1"); err != nil {
		t.Fatal(err)
	}
	// Subscribers keep the group, with the compressed JSON, until they receive a change.
	group := s.snapshot().Groups[0][0]
	group.Compressed()
	used := s.account.pool.used.Load()
	if err := s.Delete(testObject("n", "b", 2)); err != nil {
		t.Fatal(err)
	}
	if s.snapshot().Groups[0][0] != group || s.account.pool.used.Load() != used {
		t.Errorf("%d bytes are counted, want %d", s.account.pool.used.Load(), used)
	}
}

// TestStoppedKindsHoldNoObjects verifies that no objects of a kind remain in memory after the cache has dropped the
// kind. Subscriptions and responses in progress must not keep the objects, because the cache would not count this
// memory.
func TestStoppedKindsHoldNoObjects(t *testing.T) {
	c, f := runCache(t, 1<<20), newFakeCluster(t, 10)
	s, first, ok := c.Subscribe(t.Context(), f, core("a"), "Kind", func(Changes) {})
	if !ok {
		t.Fatal("the kind is not cached")
	}
	dropped := 0
	drop := func() { dropped++ }
	view := s.Current()
	release := view.Hold(drop)
	old := weak.Make(first.Get("n", "o0"))
	c.Forget(f)
	view.Hold(drop)()
	release()
	if dropped != 2 {
		t.Errorf("%d of 2 responses are dropped", dropped)
	}
	view = s.Current()
	if err := s.kind.store.Update(testObject("n", "late", 9)); err != nil || view.Count != 0 {
		t.Errorf("%d objects, %v", view.Count, err)
	}
	if current := s.Current(); current.Count != 0 || !isCollected(old) {
		t.Errorf("%d objects remain", current.Count)
	}
	runtime.KeepAlive(s)
}

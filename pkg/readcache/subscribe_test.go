// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"runtime"
	"testing"
	"time"
	"weak"
)

// isCollected returns true once the garbage collector has freed the value of p. It returns false if the value remains
// reachable.
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

// TestSubscriptionsHoldNoObjects verifies that a subscription does not keep objects in memory that the cache has
// replaced, because the account no longer includes them.
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

// TestStoppedKindsHoldNoObjects verifies that a kind that is no longer cached drops all its objects, even if
// subscriptions and responses in progress exist. Its account is closed.
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

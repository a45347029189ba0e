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

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"sync"
	"testing"
)

// TestGrowingKinds verifies which kind the cache drops when a cached kind grows while all cached kinds are in use. The
// dropped kind must be the largest kind of the cluster that uses the most memory.
func TestGrowingKinds(t *testing.T) {
	const limit, overhead = 8 << 20, watchBytes + 10<<10
	c, crowded, small := runCache(t, limit), newFakeCluster(t, 10), newFakeCluster(t, 10)
	grow := func(f *fakeCluster, resource string, bytes int64) error {
		t.Helper()
		k := c.kinds[kindKey{f, core(resource)}]
		k.store.account.add(bytes)
		return c.makeRoom(k)
	}
	for _, resource := range []string{"large", "medium"} {
		if _, ok := c.Get(t.Context(), crowded, core(resource), "Kind", "u"); !ok {
			t.Fatal("not cached")
		}
	}
	if _, ok := c.Get(t.Context(), small, core("small"), "Kind", "u"); !ok {
		t.Fatal("not cached")
	}
	for resource, bytes := range map[string]int64{"large": limit / 2, "medium": limit/2 - 6*overhead} {
		if err := grow(crowded, resource, bytes); err != nil {
			t.Fatal(err)
		}
	}
	if err := grow(small, "small", 6*overhead); err != nil || !c.Holds(small, core("small")) {
		t.Errorf("the kind of the small cluster gave way: %v", err)
	}
	if c.Holds(crowded, core("large")) || !c.Holds(crowded, core("medium")) {
		t.Error("the largest kind of the large cluster did not give way, or another one did")
	}
	if err := grow(crowded, "medium", limit); err == nil || c.Holds(crowded, core("medium")) {
		t.Errorf("a kind that does not fit is cached: %v", err)
	}
	if !c.Holds(small, core("small")) {
		t.Error("a kind of another cluster gave way")
	}
}

// TestConcurrentGrowth verifies that the cache evicts no more kinds than necessary when several cached kinds grow at
// the same time.
func TestConcurrentGrowth(t *testing.T) {
	const limit, kinds = 16 << 20, 8
	c, f := runCache(t, limit), newFakeCluster(t, 10)
	var all []*kind
	for i := range kinds {
		r := core(string(rune('a' + i)))
		if _, ok := c.Get(t.Context(), f, r, "Kind", "u"); !ok {
			t.Fatal("not cached")
		}
		all = append(all, c.kinds[kindKey{f, r}])
		all[i].store.account.add((limit - kinds*2*watchBytes) / kinds)
	}
	if c.pool.over() {
		t.Fatal("the kinds do not fit")
	}
	all[0].store.account.add(kinds * 2 * watchBytes)
	var calls sync.WaitGroup
	for _, k := range all[1:] {
		calls.Go(func() { _ = c.makeRoom(k) })
	}
	calls.Wait()
	if c.Holds(f, core("a")) || len(c.kinds) != kinds-1 {
		t.Errorf("%d of %d kinds are cached", len(c.kinds), kinds)
	}
}

// TestShares verifies how a full cache handles a new kind while all cached kinds are in use:
//
//   - If the cluster of the new kind uses at most an equal share of the cache, the cache drops another kind. The
//     dropped kind is the largest kind of the cluster that uses the most memory.
//   - If the cluster of the new kind uses more than an equal share, the new kind is not cached.
func TestShares(t *testing.T) {
	const limit = 8 << 20
	for name, test := range map[string]struct {
		list      int // the size of the new kind of the small cluster
		displaces bool
	}{
		"within its share": {limit / 6, true},
		"too large":        {limit * 3 / 4, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, crowded, small := runCache(t, limit), newFakeCluster(t, 10), newFakeCluster(t, test.list/4)
			small.count = 4
			for _, resource := range []string{"large", "medium"} {
				if _, ok := c.Get(t.Context(), crowded, core(resource), "Kind", "u"); !ok {
					t.Fatal("not cached")
				}
			}
			for resource, bytes := range map[string]int64{"large": limit / 2, "medium": limit * 3 / 8} {
				c.kinds[kindKey{crowded, core(resource)}].store.account.add(bytes)
			}
			_, ok := c.Get(t.Context(), small, core("new"), "Kind", "u")
			if ok != test.displaces || c.Holds(small, core("new")) != test.displaces {
				t.Errorf("the new kind is cached: %t", ok)
			}
			if !c.Holds(crowded, core("medium")) {
				t.Error("the smaller kind of the large cluster gave way")
			}
			if test.displaces && c.Holds(crowded, core("large")) {
				t.Error("the largest kind of the large cluster is still cached")
			}
		})
	}
}

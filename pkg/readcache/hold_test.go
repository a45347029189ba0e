// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"strings"
	"testing"
	"time"
)

func filledObject(name string, size, version int) *Object {
	o := testObject("n", name, version)
	o.JSON = []byte(strings.Repeat("x", size))
	return o
}

// TestHolds verifies that the cache counts the memory of replaced objects while slow clients still read these objects.
// If this memory exceeds the limit, the cache aborts only the oldest responses, which keep the most memory.
func TestHolds(t *testing.T) {
	const size, limit = 1000, 80_000
	p := &pool{limit: limit}
	s := &store{account: &account{pool: p}}
	if err := s.Replace([]any{filledObject("a", size, 1), filledObject("b", size, 1)}, "1"); err != nil {
		t.Fatal(err)
	}
	content := p.used.Load()
	view := func() View { return View{Snapshot: s.snapshot(), store: s} }
	update := func(times int) {
		for range times {
			if err := s.Update(filledObject("a", size, 2)); err != nil {
				t.Fatal(err)
			}
		}
	}
	update(100)
	if used := p.used.Load(); used != content {
		t.Errorf("%d bytes are counted without an answer, want %d", used, content)
	}
	var dropped []string
	hold := func(name string) func() { return view().Hold(func() { dropped = append(dropped, name) }) }
	first := hold("first")
	update(4)
	second := hold("second")
	update(3)
	object := s.snapshot().Get("n", "a").memory()
	if used := p.used.Load(); used != content+7*object || dropped != nil {
		t.Errorf("%d bytes are counted, want %d; dropped %v", used, content+7*object, dropped)
	}
	update(2) // more than an eighth of the limit was replaced since the first response
	if len(dropped) != 1 || dropped[0] != "first" {
		t.Errorf("dropped %v", dropped)
	}
	if used := p.used.Load(); used != content+5*object {
		t.Errorf("%d bytes are counted, want %d", used, content+5*object)
	}
	first()
	second()
	if used := p.used.Load(); used != content || len(s.holds.all) != 0 {
		t.Errorf("%d bytes are counted in the end, want %d", used, content)
	}

	// A list with the same objects replaces nothing.
	third := hold("third")
	if err := s.Replace([]any{s.snapshot().Get("n", "a"), s.snapshot().Get("n", "b")}, "3"); err != nil {
		t.Fatal(err)
	}
	if used := p.used.Load(); used != content {
		t.Errorf("%d bytes are counted after a list of the same, want %d", used, content)
	}
	update(1)
	s.mu.Lock()
	s.limitHeld(0) // as if the cache had no memory
	s.mu.Unlock()
	third()
	if len(dropped) != 2 || p.used.Load() != content {
		t.Errorf("dropped %v, %d bytes are counted", dropped, p.used.Load())
	}
}

// TestOldViews verifies how much memory the cache counts while a response uses an old View of a list. The cache must
// count all objects that were replaced after the creation of the View.
func TestOldViews(t *testing.T) {
	p := &pool{limit: 1 << 20}
	s := &store{account: &account{pool: p}}
	if err := s.Replace([]any{filledObject("a", 1000, 1)}, "1"); err != nil {
		t.Fatal(err)
	}
	old, content := View{Snapshot: s.snapshot(), store: s}, p.used.Load()
	for range 3 {
		if err := s.Update(filledObject("a", 1000, 2)); err != nil {
			t.Fatal(err)
		}
	}
	release := old.Hold(func() {})
	defer release()
	if err := s.Update(filledObject("a", 1000, 3)); err != nil {
		t.Fatal(err)
	}
	if used, want := p.used.Load(), content+4*s.snapshot().Get("n", "a").memory(); used != want {
		t.Errorf("%d bytes are counted, want %d", used, want)
	}
}

// TestSummaries verifies that Group.Summarize computes the Summary of unchanged objects only once. The cache must count
// the memory of the Summary.
func TestSummaries(t *testing.T) {
	p := &pool{limit: 1 << 20}
	s := &store{account: &account{pool: p}}
	if err := s.Replace([]any{filledObject("a", 10, 1), filledObject("b", 10, 1)}, "1"); err != nil {
		t.Fatal(err)
	}
	content, computed := p.used.Load(), 0
	summarize := func() int {
		value, err := s.snapshot().Groups[0][0].Summarize(func(all []*Object) (Summary, error) {
			computed++
			return Summary{Value: len(all), TextBytes: 100}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		n, _ := value.(int)
		return n
	}
	if a, b := summarize(), summarize(); a != 2 || b != 2 || computed != 1 ||
		p.used.Load() != content+summaryBytes+100 {
		t.Errorf("%d and %d after %d computations, %d bytes", a, b, computed, p.used.Load()-content)
	}
	if err := s.Delete(testObject("n", "a", 2)); err != nil {
		t.Fatal(err)
	}
	if n := summarize(); n != 1 || computed != 2 {
		t.Errorf("%d after %d computations", n, computed)
	}
	s.account.close()
	if p.used.Load() != 0 {
		t.Errorf("%d bytes are counted in the end", p.used.Load())
	}
	if _, err := NewGroup([]*Object{testObject("n", "a", 1)}).Summarize(func([]*Object) (Summary,
		error) {
		return Summary{}, nil
	}); err != nil {
		t.Error(err)
	}
}

// TestLongOutages verifies that the cache returns no objects after the watch has been broken for longer than maxStale.
// Before that time, the cache must return the objects and mark them as stale.
func TestLongOutages(t *testing.T) {
	c, f := runCache(t, 1<<20), newFakeCluster(t, 10)
	get := func() (View, bool) { return c.Get(t.Context(), f, core("a"), "Kind", "u") }
	if _, ok := get(); !ok {
		t.Fatal("it is not cached")
	}
	source := c.kinds[kindKey{f, core("a")}].source
	for age, want := range map[time.Duration]bool{maxStale - time.Minute: true, maxStale + time.Minute: false} {
		source.mu.Lock()
		source.connected = false
		source.latestChange = time.Now().Add(-age)
		source.asOf = source.latestChange
		source.mu.Unlock()
		if v, ok := get(); ok != want || v.Stale != want {
			t.Errorf("after %s: %t, stale %t", age, ok, v.Stale)
		}
	}
}

// TestSubscribersAreCounted verifies that the memory of a subscriber counts as memory of the cached kind until the
// subscription ends. If a subscriber uses too much memory, the cache must evict the kind.
func TestSubscribersAreCounted(t *testing.T) {
	c, f := runCache(t, 1<<20), newFakeCluster(t, 10)
	subscribe := func() *Subscription {
		s, _, ok := c.Subscribe(t.Context(), f, core("a"), "Kind", func(Changes) {})
		if !ok {
			t.Fatal("the kind is not cached")
		}
		return s
	}
	s := subscribe()
	before := c.Bytes()
	s.Count(1000)
	if grown := c.Bytes() - before; grown != 1000 {
		t.Errorf("%d bytes are counted, want 1000", grown)
	}
	s.Close()
	s.Close()
	if c.Bytes() != before {
		t.Errorf("%d bytes are counted after the end, want %d", c.Bytes(), before)
	}
	s = subscribe()
	s.Count(c.pool.limit)
	k := c.kinds[kindKey{f, core("a")}]
	if _, err := k.source.keep(testObject("n", "o", 9), false); err == nil || c.Holds(f, core("a")) {
		t.Errorf("a kind beyond the bound is cached: %v", err)
	}
	<-s.Ended()
}

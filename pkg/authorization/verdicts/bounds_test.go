// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"testing"
	"time"
)

func TestVerdictsAreFew(t *testing.T) {
	const size = 100
	h := newHarness(t, size)
	keep := func(n int, name string) {
		if _, err := h.verdict(t.Context(), h.scope, number(n), name, h.review); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 10 {
		keep(n, "modest")
	}
	for n := range 5 * size {
		keep(1000+n, "greedy")
		if n%20 == 0 {
			keep(1000, "greedy") // a used verdict is not evicted
		}
	}
	if n := len(h.entries.verdicts); n != size {
		t.Errorf("there are %d verdicts", n)
	}
	before := h.reviews.Load()
	for n := range 10 {
		keep(n, "modest")
	}
	keep(1000, "greedy")
	if h.reviews.Load() != before {
		t.Error("the greedy user has taken verdicts of another one, or lost one in use")
	}
	h.entries.forget(h.scope)
	if len(h.entries.verdicts) != 0 || len(h.entries.holders) != 0 || len(h.entries.largest) != 0 {
		t.Error("something is kept of a cluster that is gone")
	}
}

// TestWatchesAreFew verifies that the cache watches at most maxWatched clusters: the watch of a new cluster ends the
// watch of the least recently used cluster. The watch of a cluster also ends when the connection to the cluster ends.
func TestWatchesAreFew(t *testing.T) {
	h := newHarness(t, 10)
	t.Cleanup(h.Stop)
	connections := make([]*fakeConnection, maxWatched+1)
	for i := range connections {
		connections[i] = &fakeConnection{done: make(chan struct{})}
		h.scopeOf(connections[i]).recordUse(h.clock.Now().Add(time.Duration(i) * time.Millisecond))
	}
	h.awaitScopes(t, maxWatched)
	h.mu.Lock()
	_, first := h.scopes[connections[0]]
	_, last := h.scopes[connections[maxWatched]]
	h.mu.Unlock()
	if first || !last {
		t.Errorf("the first cluster is watched: %t, the last one: %t", first, last)
	}
	close(connections[maxWatched].done)
	h.awaitScopes(t, maxWatched-1)
	h.Stop()
	h.awaitScopes(t, 0)
	if _, healthy := h.scopeOf(connections[0]).recordUse(h.clock.Now()); healthy {
		t.Error("verdicts are kept after the end")
	}
}

// TestIdleWatchesEnd verifies that the watch of the RBAC objects of a cluster ends if no verdict is requested for
// idleTime.
func TestIdleWatchesEnd(t *testing.T) {
	h := newHarness(t, 10)
	t.Cleanup(h.Stop)
	// A negative step makes the time since the last question exceed idleTime when the watch checks it.
	h.after(-idleTime)
	s := h.scopeOf(&fakeConnection{done: make(chan struct{})})
	h.after(idleTime)
	s.endWhenIdle(t.Context(), &fakeConnection{})
	h.awaitScopes(t, 0)
}

// TestRenewalsAreBounded verifies that a verdict is used, but not renewed, while many reviews are in progress.
func TestRenewalsAreBounded(t *testing.T) {
	h := newHarness(t, 10)
	h.expect(t, "at first", true, 1)
	h.mu.Lock()
	for i := range renewalLimit {
		h.flights[flightKey{generation: uint64(i)}] = &flight{}
	}
	h.mu.Unlock()
	h.after(renewalAge)
	h.expect(t, "while many reviews are in progress", true, 1)
	h.mu.Lock()
	if n := len(h.flights); n != renewalLimit {
		t.Errorf("%d reviews are in progress, want %d", n, renewalLimit)
	}
	clear(h.flights)
	h.mu.Unlock()
	_, _ = h.verdict(t.Context(), h.scope, number(1), "alice", h.review)
	h.awaitReviews(t)
	h.expect(t, "after these reviews", true, 2)
}

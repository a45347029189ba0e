// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/kubevision-io/kubevision/pkg/readcache"
)

// TestManyChangesAtOnce verifies that a feed, which is a log of changes, never stores more than maxEntries changes. The
// memory of the stored changes must count toward the memory limit.
func TestManyChangesAtOnce(t *testing.T) {
	const changes = 5*maxEntries + 7
	w := newWorld()
	var counted int64
	w.feed.charge = func(bytes int64) { counted += bytes }
	first := w.change("first", false)
	w.feed.deliver(changeOf(first))
	early := w.feed.head()
	most := 0
	w.feed.deliver(readcache.Changes{Version: "500000", Relisted: true, All: func(yield func(readcache.Change) bool) {
		for i := range changes {
			most = max(most, len(w.feed.entries))
			if !yield(readcache.Change{Namespace: "n", Name: fmt.Sprint("o", i), Created: true, Version: "500000"}) {
				return
			}
		}
	}})
	if n := len(w.feed.entries); most > maxEntries || n > maxEntries || n < maxEntries/2 || len(w.feed.latest) != n {
		t.Errorf("%d entries and %d names after at most %d entries", n, len(w.feed.latest), most)
	}
	want := int64(2 * maxShared)
	for i := range w.feed.entries {
		want += w.feed.entries[i].memory()
	}
	if counted != want {
		t.Errorf("%d bytes are counted, want %d", counted, want)
	}
	if head := w.feed.head(); head != early+changes {
		t.Errorf("the last entry has the number %d, want %d", head, early+changes)
	}
	if b := w.feed.collect(early, "", all); !b.expired {
		t.Error("a client before the list goes on")
	}
	if _, ok := w.feed.resume(first.Version); ok {
		t.Error("a bookmark before the list is resumed")
	}
	cursor, ok := w.feed.resume("500000")
	if b := w.feed.collect(cursor, "500000", all); !ok || b.expired || len(b.events) > 0 || !b.last {
		t.Errorf("after a bookmark at the list: %t, %+v", ok, b)
	}
}

func all(string, string) bool { return true }

// TestForgottenNamesUseNoMemory verifies that the memory of a feed shrinks when it drops entries.
func TestForgottenNamesUseNoMemory(t *testing.T) {
	const changes, kept = 8 * maxEntries, 10
	w := newWorld()
	before := heap()
	for i := range changes {
		w.feed.append(&readcache.Change{Namespace: "n", Name: fmt.Sprint("o", i), Created: true, Version: "101"})
	}
	full := heap() - before
	w.feed.forget(changes - kept)
	if rest := heap() - before; len(w.feed.latest) != kept || rest > full/20 {
		t.Errorf("%d names remain, and %d of %d bytes", len(w.feed.latest), rest, full)
	}
	if e := w.feed.entries[0]; w.feed.latest[[2]string{e.namespace, e.name}] != w.feed.base {
		t.Errorf("the last entry of %s is not known", e.name)
	}
	runtime.KeepAlive(w)
}

// TestEndedFeedsHoldNoObjects verifies that a feed, which records the changes of a resource, releases the objects when
// the feed ends. An ended feed must reject new subscriptions.
func TestEndedFeedsHoldNoObjects(t *testing.T) {
	w := newWorld()
	c := w.change("a", false)
	changes := changeOf(c)
	changes.After = &readcache.Snapshot{}
	w.feed.deliver(changes)
	late := &topic{feed: w.feed}
	if err := late.begin(false, ""); err != nil {
		t.Fatal(err)
	}
	head := w.feed.head()
	w.feed.release()
	w.feed.deliver(changes)
	if w.feed.content != nil || len(w.feed.entries) > 0 || len(w.feed.latest) > 0 || w.feed.head() != head {
		t.Errorf("%d entries, %d names, number %d", len(w.feed.entries), len(w.feed.latest), w.feed.head())
	}
	if late.hasNews() || !w.feed.hasEnded() || w.feed.add(late) {
		t.Error("the feed goes on")
	}
	next := &topic{feed: w.feed}
	if err := next.begin(true, ""); err == nil {
		t.Error("a topic begins")
	}
}

func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // frees what the first one has found
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc) //nolint:gosec // it is far below the largest integer
}

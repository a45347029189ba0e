// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/kubevision-io/kubevision/pkg/readcache"
)

// world simulates the objects of one resource on an API server. The field feed contains the changes of the objects.
type world struct {
	feed    *feed
	objects map[string]*readcache.Object
	version int
}

func newWorld() *world {
	w := &world{feed: newFeed(nil), objects: map[string]*readcache.Object{}, version: 100}
	w.feed.start, w.feed.version = "100", "100"
	return w
}

func (w *world) change(name string, deletion bool) readcache.Change {
	w.version++
	c := readcache.Change{Namespace: "n", Name: name, Version: strconv.Itoa(w.version), Created: w.objects[name] == nil}
	if deletion {
		c.Created = false
		delete(w.objects, name)
		return c
	}
	c.Object = &readcache.Object{Namespace: "n", Name: name, ResourceVersion: c.Version}
	w.objects[name] = c.Object
	return c
}

func changeOf(c readcache.Change) readcache.Changes {
	return readcache.Changes{All: slices.Values([]readcache.Change{c}), Version: c.Version}
}

// step changes random objects of the simulated API server. Usually, it delivers one change to w.feed, like a watch
// event. Sometimes, it delivers several changes together, like a new list.
func (w *world) step(random *rand.Rand) {
	names := []string{"a", "b", "c", "d", "e", "f"}
	one := func() (readcache.Change, bool) {
		name := names[random.IntN(len(names))]
		deletion := random.IntN(3) == 0
		if deletion && w.objects[name] == nil {
			return readcache.Change{}, false
		}
		return w.change(name, deletion), true
	}
	if random.IntN(20) > 0 {
		if c, ok := one(); ok {
			w.feed.deliver(changeOf(c))
		}
		return
	}
	before := maps.Clone(w.objects)
	for range 10 {
		one()
	}
	w.version++
	version := strconv.Itoa(w.version)
	var all []readcache.Change
	for name := range before {
		if w.objects[name] == nil {
			all = append(all, readcache.Change{Namespace: "n", Name: name, Version: version})
		}
	}
	for name, o := range w.objects {
		if before[name] != o {
			all = append(all, readcache.Change{
				Namespace: "n", Name: name, Object: o, Created: before[name] == nil, Version: version,
			})
		}
	}
	w.feed.deliver(relist(version, all...))
}

func relist(version string, all ...readcache.Change) readcache.Changes {
	return readcache.Changes{All: slices.Values(all), Version: version, Relisted: true}
}

// reader is a watch client. It applies the events of a feed, which is a log of changes, to a copy of the objects.
type reader struct {
	cursor uint64
	seen   string
	copy   map[string]*readcache.Object
}

// read applies all new events of the feed f to the client's copy of the objects. It returns the ResourceVersion of the
// next bookmark. It returns false if the feed no longer contains all events that the client needs.
func (r *reader) read(t *testing.T, f *feed) (version string, ok bool) {
	t.Helper()
	for {
		b := f.collect(r.cursor, r.seen, func(string, string) bool { return true })
		if b.expired {
			return "", false
		}
		for _, e := range b.events {
			old := r.copy[e.name]
			switch {
			case e.kind == deleted: // the object may have been created and deleted since the last read
				delete(r.copy, e.name)
				continue
			case (e.kind == added) != (old == nil):
				t.Errorf("%s of %s, which is there: %v", e.kind, e.name, old != nil)
			case old != nil && !isNewer(e.object.ResourceVersion, old.ResourceVersion):
				t.Errorf("%s goes back from %s to %s", e.name, old.ResourceVersion, e.object.ResourceVersion)
			}
			r.copy[e.name] = e.object
		}
		if r.cursor = b.cursor; b.last {
			return b.bookmarkVersion, true
		}
	}
}

func isNewer(a, b string) bool {
	c, ok := compare(a, b)
	return ok && c > 0
}

// TestReadersHaveWhatTheServerHas verifies the events that a watch client gets:
//   - After the client has applied all events, the client's copy of the objects equals the objects of the API server.
//   - An ADDED event is sent only for a new object, and a MODIFIED event only for an existing object.
//   - No event contains an older version of an object than the client's copy.
func TestReadersHaveWhatTheServerHas(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // the sequence is the same in each run
	w := newWorld()
	readers := []*reader{{copy: map[string]*readcache.Object{}}, {copy: map[string]*readcache.Object{}},
		{copy: map[string]*readcache.Object{}}}
	for i := range 20_000 {
		w.step(random)
		for n, r := range readers { // the first reader reads often, the second rarely, the third very rarely
			if i%[]int{1, 17, 400}[n] != 0 {
				continue
			}
			if _, ok := r.read(t, w.feed); !ok {
				t.Fatal("it has expired")
			}
			if !maps.Equal(r.copy, w.objects) {
				t.Fatalf("after %d changes, reader %d has %v instead of %v", i, n, r.copy, w.objects)
			}
		}
	}
	if len(w.feed.latest) > len(w.feed.entries) || len(w.feed.entries) > maxEntries {
		t.Errorf("%d entries, %d names", len(w.feed.entries), len(w.feed.latest))
	}
}

// TestResume verifies that a client has the current objects after it resumes a watch from a bookmark. This applies even
// if the client already has changes that are newer than the bookmark. A client with an expired bookmark must get an
// error.
func TestResume(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // as above
	w := newWorld()
	type past struct {
		version string
		objects map[string]*readcache.Object
	}
	var pasts []past
	resumed, refused := 0, 0
	for range 4000 {
		w.step(random)
		pasts = append(pasts, past{strconv.Itoa(w.version), maps.Clone(w.objects)})
		pasts = pasts[max(len(pasts)-20, 0):]
		marked := random.IntN(len(pasts))
		from, received := pasts[marked], pasts[marked+random.IntN(len(pasts)-marked)]
		cursor, ok := w.feed.resume(from.version)
		if !ok {
			refused++
			continue
		}
		r := &reader{cursor: cursor, seen: from.version, copy: maps.Clone(received.objects)}
		if _, ok := r.readLeniently(w.feed); !ok {
			refused++
			continue
		}
		resumed++
		if !maps.Equal(r.copy, w.objects) {
			t.Fatalf("from %s, with changes up to %s: %v instead of %v", from.version, received.version, r.copy,
				w.objects)
		}
	}
	if resumed < 1000 || refused < 1000 {
		t.Errorf("%d were resumed, and %d refused", resumed, refused)
	}
}

// readLeniently applies all new events of the feed f to the client's copy of the objects. Like many clients, it treats
// ADDED events and MODIFIED events alike.
func (r *reader) readLeniently(f *feed) (version string, ok bool) {
	for {
		b := f.collect(r.cursor, r.seen, func(string, string) bool { return true })
		if b.expired {
			return "", false
		}
		for _, e := range b.events {
			if e.kind == deleted {
				delete(r.copy, e.name)
			} else {
				r.copy[e.name] = e.object
			}
		}
		if r.cursor = b.cursor; b.last {
			return b.bookmarkVersion, true
		}
	}
}

// TestRelistedKindsAreNotResumed verifies that a client cannot resume a watch from a bookmark that is older than the
// last list of the objects. A list does not report deletions. If the watch resumed, the client could keep a deleted
// object.
func TestRelistedKindsAreNotResumed(t *testing.T) {
	w := newWorld()
	w.feed.deliver(relist("110"))
	for version, want := range map[string]bool{"99": false, "100": false, "101": false, "109": false, "110": true,
		"111": true, "x": false} {
		if _, ok := w.feed.resume(version); ok != want {
			t.Errorf("from %s: %v", version, ok)
		}
	}
	// A list after a client has resumed has the same effect.
	w.feed.deliver(relist("120"))
	if b := w.feed.collect(w.feed.head(), "115", nil); !b.expired {
		t.Error("a list after the version of the bookmark is not noticed")
	}
}

// TestForgottenChanges verifies that a watch client cannot continue if the feed has dropped changes that the client has
// not received. The feed is a log of recent changes.
func TestForgottenChanges(t *testing.T) {
	w := newWorld()
	late := &reader{copy: map[string]*readcache.Object{}}
	for i := range maxEntries + 1 {
		c := w.change(fmt.Sprint("o", i), false)
		w.feed.deliver(changeOf(c))
	}
	if _, ok := late.read(t, w.feed); ok {
		t.Error("it goes on")
	}
	if _, ok := w.feed.resume("100"); ok {
		t.Error("it resumes")
	}
	if len(w.feed.entries) != maxEntries/2 || len(w.feed.latest) != maxEntries/2 {
		t.Errorf("%d entries, %d names", len(w.feed.entries), len(w.feed.latest))
	}
}

// TestReplicaBehindTheClient verifies that a client can resume a watch at a replica whose objects are outdated. The
// replica sends no version that is older than the client's version. It sends all later changes, including deletions.
func TestReplicaBehindTheClient(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 9)) //nolint:gosec // as above
	for range 500 {
		w := newWorld()
		behind := newWorld().feed
		var history []readcache.Changes
		record := func(n int) {
			for range n {
				names := []string{"a", "b", "c"}
				name := names[random.IntN(len(names))]
				deletion := random.IntN(2) == 0
				if deletion && w.objects[name] == nil {
					continue
				}
				c := w.change(name, deletion)
				history = append(history, changeOf(c))
			}
		}
		record(random.IntN(10))
		for _, changes := range history {
			behind.deliver(changes)
		}
		known := len(history)
		record(random.IntN(10))
		r := &reader{copy: maps.Clone(w.objects), seen: strconv.Itoa(w.version)}
		cursor, ok := behind.resume(r.seen)
		if !ok {
			t.Fatal("it is refused")
		}
		r.cursor = cursor
		record(10)
		for _, changes := range history[known:] {
			behind.deliver(changes)
			if random.IntN(3) == 0 {
				version, _ := r.read(t, behind)
				if isNewer(r.seen, version) {
					t.Fatalf("the bookmark goes back from %s to %s", r.seen, version)
				}
			}
		}
		r.read(t, behind)
		if !maps.Equal(r.copy, w.objects) {
			t.Fatalf("%v instead of %v", r.copy, w.objects)
		}
	}
}

// TestEntriesAreCounted verifies that the memory of a feed, which is a log of changes, counts towards the memory limit.
// Changes that the feed has dropped no longer count.
func TestEntriesAreCounted(t *testing.T) {
	w := newWorld()
	var counted int64
	w.feed.charge = func(bytes int64) { counted += bytes }
	for n := range 2*maxEntries + 10 {
		name := strconv.Itoa(n)
		for _, deletion := range []bool{false, true} {
			c := w.change(name, deletion)
			w.feed.deliver(changeOf(c))
		}
	}
	want := int64(2 * maxShared)
	for i := range w.feed.entries {
		want += w.feed.entries[i].memory()
	}
	if counted != want || counted < maxEntries/2*entryOverheadBytes ||
		counted > 2*maxEntries*entryOverheadBytes+2*maxShared {
		t.Errorf("%d bytes are counted for %d entries, want %d", counted, len(w.feed.entries), want)
	}
}

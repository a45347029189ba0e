// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"slices"
	"sort"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/readcache"
)

const (
	// maxEntries bounds the changes that a feed stores. If there are more, it drops the older half.
	maxEntries = 16 << 10
	// entryBytes is the memory of an entry without its strings: in the log, and as the key of latest.
	entryBytes = 256
	// perFollower is the time per follower for which changes are collected before they are sent. The total is at most
	// maxGather. Many followers therefore get several changes in one message.
	perFollower = 100 * time.Microsecond
	maxGather   = 100 * time.Millisecond
)

// entry is a change of one object.
type entry struct {
	namespace, name string
	// object is nil after a deletion, and if a later entry concerns the same object.
	object *readcache.Object
	// superseded is true if a later entry concerns the same object.
	superseded bool
	// created is the sequence number at which the object was created, or 0 if it is older than all entries. deleted is
	// the sequence number of the last deletion of an object with the same name, or 0.
	created, deleted uint64
	// version is the resource version of the change.
	version string
}

// feed is the log of changes of one kind on one cluster. All clients share it. Only the last entry of an object refers
// to the object, so that the log retains no old versions. A client that is behind gets only the last version of each
// object.
type feed struct {
	connection   *clusters.Connection
	subscription *readcache.Subscription
	// charge accounts for the memory of entries. It may be nil.
	charge func(bytes int64)

	mu sync.RWMutex
	// content is the snapshot after the last entry.
	content *readcache.Snapshot
	// entries have consecutive sequence numbers from base.
	entries []entry
	base    uint64
	latest  map[[2]string]uint64
	// start is the resource version before the first entry. version is the current resource version.
	start, version string
	// relisted is the resource version of the last list after the first one. Changes between the previous entry and
	// that list are known only as a difference.
	relisted  string
	followers map[*topic]bool
	// abandoned is the time at which the last follower left.
	abandoned time.Time
	// scheduled is true if a wake of the followers is scheduled. told is the time of the last wake.
	scheduled bool
	told      time.Time
	ended     bool
	// deliveries counts the calls of deliver.
	deliveries uint64

	// objects and summaries are the last messages for clients that may see all objects.
	objects, summaries sharedMessage
}

func newFeed(c *clusters.Connection) *feed {
	return &feed{connection: c, base: 1, latest: map[[2]string]uint64{}, followers: map[*topic]bool{},
		abandoned: time.Now()}
}

// head returns the sequence number of the last entry. The caller must hold the lock.
func (f *feed) head() uint64 { return f.base + uint64(len(f.entries)) - 1 }

// deliver appends changes. It must not block, because the caller holds the lock of the store.
func (f *feed) deliver(changes readcache.Changes) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if changes.Relisted && f.version != changes.Version {
		f.relisted = changes.Version
	}
	var grown int64
	f.deliveries++
	if f.deliveries == 1 {
		grown = 2 * maxShared
	}
	for i := range changes.All {
		f.append(&changes.All[i])
		grown += f.entries[len(f.entries)-1].memory()
	}
	f.version, f.content = changes.Version, changes.After
	if len(f.entries) > maxEntries {
		grown -= f.forget(len(f.entries) - maxEntries/2) //nolint:mnd // the older half
	}
	if f.charge != nil {
		f.charge(grown)
	}
	if f.scheduled || len(f.followers) == 0 {
		return
	}
	f.scheduled = true
	gather := min(time.Duration(len(f.followers))*perFollower, maxGather)
	time.AfterFunc(max(gather-time.Since(f.told), 0), f.tell)
}

func (f *feed) append(c *readcache.Change) {
	key := [2]string{c.Namespace, c.Name}
	next := entry{namespace: c.Namespace, name: c.Name, object: c.Object, version: c.Version}
	seq := f.head() + 1
	if last, ok := f.latest[key]; ok {
		before := &f.entries[last-f.base]
		next.created, next.deleted = before.created, before.deleted
		if before.object == nil {
			next.deleted = last
		}
		before.object, before.superseded = nil, true
	}
	if c.Created {
		next.created = seq
	}
	f.entries = append(f.entries, next)
	f.latest[key] = seq
}

// memory returns the memory of the entry without the object, which the cache accounts for.
func (e *entry) memory() int64 {
	return entryBytes + int64(len(e.namespace)+len(e.name)+len(e.version))
}

// forget drops the oldest entries, and returns their memory.
func (f *feed) forget(n int) (bytes int64) {
	for i := range n {
		e := &f.entries[i]
		bytes += e.memory()
		if key := [2]string{e.namespace, e.name}; f.latest[key] == f.base+uint64(i) {
			delete(f.latest, key)
		}
	}
	f.start = f.entries[n-1].version
	f.entries = slices.Clone(f.entries[n:])
	f.base += uint64(n) //nolint:gosec // it counts entries
	return bytes
}

// tell wakes all followers, which then send the new events.
func (f *feed) tell() {
	f.mu.Lock()
	f.scheduled, f.told = false, time.Now()
	followers := f.all()
	f.mu.Unlock()
	for _, t := range followers {
		t.client.wake()
	}
}

// all returns the followers. The caller must hold the lock.
func (f *feed) all() []*topic {
	out := make([]*topic, 0, len(f.followers))
	for t := range f.followers {
		out = append(out, t)
	}
	return out
}

// compare compares two resource versions. It returns false if they cannot be compared.
func compare(a, b string) (int, bool) {
	c, err := resourceversion.CompareResourceVersion(a, b)
	return c, err == nil
}

// resume returns the sequence number of the last entry that a client with a version has seen. It returns false if the
// feed does not have all changes after the version.
func (f *feed) resume(version string) (cursor uint64, ok bool) {
	if c, ok := compare(version, f.start); !ok || c < 0 {
		return 0, false
	}
	if f.isRelistedAfter(version) {
		return 0, false
	}
	return f.after(version), true
}

// after returns the sequence number of the last entry whose version is not later than a version. The caller must hold
// the lock.
func (f *feed) after(version string) uint64 {
	i := sort.Search(len(f.entries), func(i int) bool {
		c, ok := compare(f.entries[i].version, version)
		return ok && c > 0
	})
	return f.base + uint64(i) - 1 //nolint:gosec // it is an index
}

// isRelistedAfter returns true if the kind was listed again after a version. A client that resumes from the version may
// have received later changes from another replica. For example, the client may know an object that was created and
// deleted before the list, and that this feed has never contained. The caller must hold the lock.
func (f *feed) isRelistedAfter(version string) bool {
	if f.relisted == "" {
		return false
	}
	c, ok := compare(f.relisted, version)
	return !ok || c > 0
}

// add adds a follower. It returns false if the feed has ended.
func (f *feed) add(t *topic) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return false
	}
	f.followers[t] = true
	return true
}

func (f *feed) remove(t *topic) {
	t.letGo()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.followers, t)
	if len(f.followers) == 0 {
		f.abandoned = time.Now()
	}
}

// isAbandoned returns true if the feed has had no follower since the given time.
func (f *feed) isAbandoned(since time.Time) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.followers) == 0 && f.abandoned.Before(since)
}

// event is an entry as a client receives it.
type event struct {
	kind            string
	namespace, name string
	object          *readcache.Object
}

// Types of events, as in Kubernetes.
const (
	added    = "ADDED"
	modified = "MODIFIED"
	deleted  = "DELETED"
	bookmark = "BOOKMARK"
	failed   = "ERROR"
)

// batch contains the next events of a client. Its size is about the size of one message.
type batch struct {
	events []event
	// cursor is the position at which the next batch begins.
	cursor uint64
	// deliveries is the number of deliveries to the feed.
	deliveries uint64
	// version is the resource version after the batch, if the batch is the last one.
	version string
	last    bool
	// expired is true if the feed has dropped entries that the client needs.
	expired bool
}

// batchEvents bounds the events of a batch.
const batchEvents = 256

// collect returns the next events for a client at a cursor. For a client that has resumed, seen is the version of its
// bookmark; collect omits the events up to that version.
func (f *feed) collect(cursor uint64, seen string, selected func(namespace, name string) bool) batch {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if cursor+1 < f.base || (seen != "" && f.isRelistedAfter(seen)) {
		return batch{expired: true}
	}
	if seen != "" {
		cursor = max(cursor, f.after(seen))
	}
	out, size := batch{cursor: cursor, deliveries: f.deliveries}, 0
	for i := cursor + 1 - f.base; i < uint64(len(f.entries)); i++ {
		if len(out.events) >= batchEvents || size >= messageBytes {
			return out
		}
		e := &f.entries[i]
		out.cursor = f.base + i
		if e.superseded || !selected(e.namespace, e.name) {
			continue
		}
		out.events = e.appendEvents(out.events, cursor, seen != "")
		if e.object != nil {
			size += len(e.object.JSON)
		}
	}
	out.version, out.last = f.version, true
	if c, ok := compare(f.version, seen); ok && c < 0 { // the client is ahead of this replica
		out.version = seen
	}
	return out
}

// appendEvents appends the events of the entry for a client that has received all entries up to a cursor. A client that
// has resumed may have received later entries too, so it also gets the deletion of objects that were created after the
// cursor.
func (e *entry) appendEvents(events []event, cursor uint64, resumed bool) []event {
	one := event{namespace: e.namespace, name: e.name, object: e.object}
	isNew, wasThere := e.created > cursor, e.deleted > cursor
	switch {
	case e.object == nil && isNew && !wasThere && !resumed: // created and deleted after the cursor
		return events
	case e.object == nil:
		one.kind = deleted
	case isNew && wasThere: // replaced by another object with the same name
		events = append(events, event{kind: deleted, namespace: e.namespace, name: e.name})
		one.kind = added
	case isNew:
		one.kind = added
	default:
		one.kind = modified
	}
	return append(events, one)
}

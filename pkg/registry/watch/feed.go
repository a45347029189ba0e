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
	// maxEntries bounds the number of changes that a feed stores. If it is exceeded, the older half is dropped.
	maxEntries         = 16 << 10
	entryOverheadBytes = 256
	// wakeIntervalPerTopic determines how often a feed wakes its clients to send new changes. The minimum time between
	// two wake-ups is this value, multiplied by the number of topics. Many topics would otherwise cause many small
	// messages.
	wakeIntervalPerTopic = 100 * time.Microsecond
	// maxWakeInterval bounds the time for which a feed delays new changes before it wakes its clients.
	maxWakeInterval = 100 * time.Millisecond
)

// entry is one change of one object in a feed.
type entry struct {
	namespace, name string
	// object is the object after the change. It is nil if the object was deleted or has changed again.
	object *readcache.Object
	// superseded is true if the feed contains a later entry of the same object.
	superseded bool
	// created is the sequence number at which the feed recorded the creation of the object. It is 0 if the creation is
	// older than the entries of the feed.
	created uint64
	// deleted is the sequence number of the previous deletion of an object with the same name, or 0.
	deleted uint64
	// version is the ResourceVersion of the change.
	version string
}

// feed is a log of the changes of one resource on one cluster. All clients share the feed. It contains only the last
// version of each object. A client that reads slowly does not get the earlier versions.
type feed struct {
	connection   *clusters.Connection
	subscription *readcache.Subscription
	// charge is called with the growth of the feed's memory in bytes. It may be nil.
	charge func(bytes int64)

	mu sync.RWMutex
	// content is the list of the objects after the last change in the feed. It is nil after the feed has ended.
	content *readcache.Snapshot
	// entries contains the changes. Their sequence numbers are consecutive.
	entries []entry
	// base is the sequence number of the first element of entries.
	base uint64
	// latest maps the namespace and name of each object to the sequence number of the last change of the object.
	latest map[[2]string]uint64
	// start is the ResourceVersion before the first entry.
	start string
	// version is the ResourceVersion that includes all changes in the feed.
	version string
	// relistVersion is the ResourceVersion of the last repeated list of the objects. It is empty if the list was never
	// repeated.
	relistVersion string
	// followers is the set of the topics that read the feed.
	followers map[*topic]bool
	// abandoned is the time at which the last follower was removed.
	abandoned time.Time
	// wakeScheduled is true while a timer runs that wakes the clients.
	wakeScheduled bool
	// lastWake is the time at which the clients were last woken.
	lastWake time.Time
	ended    bool
	// revision identifies the content of the feed. It is the number of updates that the feed has received.
	revision uint64

	// objectMessage is the last message that contains whole objects.
	objectMessage sharedMessage
	// summaryMessage is the latest of the messages that contain only the metadata of objects.
	summaryMessage sharedMessage
}

func newFeed(c *clusters.Connection) *feed {
	return &feed{connection: c, base: 1, latest: map[[2]string]uint64{}, followers: map[*topic]bool{},
		abandoned: time.Now()}
}

// head returns the sequence number of the last entry. The caller must hold f.mu.
func (f *feed) head() uint64 { return f.base + uint64(len(f.entries)) - 1 }

// deliver appends changes to the feed, and schedules a call that wakes the clients. It must not block, because the read
// cache calls it with a lock held.
func (f *feed) deliver(changes readcache.Changes) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return
	}
	if changes.Relisted && f.version != changes.Version {
		f.relistVersion = changes.Version
	}
	var grown int64
	f.revision++
	if f.revision == 1 {
		grown = 2 * maxShared
	}
	for c := range changes.All { // a new list may contain more than maxEntries changes
		f.append(&c)
		grown += f.entries[len(f.entries)-1].memory()
		if len(f.entries) > maxEntries {
			grown -= f.forget(len(f.entries) - maxEntries/2) //nolint:mnd // the older half
		}
	}
	f.version, f.content = changes.Version, changes.After
	if f.charge != nil {
		f.charge(grown)
	}
	if f.wakeScheduled || len(f.followers) == 0 {
		return
	}
	f.wakeScheduled = true
	interval := min(time.Duration(len(f.followers))*wakeIntervalPerTopic, maxWakeInterval)
	time.AfterFunc(max(interval-time.Since(f.lastWake), 0), f.wakeClients)
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
		before.object, before.superseded = nil, true // the feed keeps no old versions in memory
	}
	if c.Created {
		next.created = seq
	}
	f.entries = append(f.entries, next)
	f.latest[key] = seq
}

// memory returns the estimated memory of the entry without its object, in bytes. The read cache accounts for the
// memory of the object.
func (e *entry) memory() int64 {
	// The overhead includes the key of the entry in feed.latest.
	return entryOverheadBytes + int64(len(e.namespace)+len(e.name)+len(e.version))
}

// forget drops the n oldest entries, and returns the bytes of their memory. It copies the other entries to a new
// slice, and creates a new map, because a slice or a map whose elements are deleted does not release its memory.
func (f *feed) forget(n int) (bytes int64) {
	for i := range n {
		bytes += f.entries[i].memory()
	}
	f.start = f.entries[n-1].version
	f.entries = slices.Clone(f.entries[n:])
	f.base += uint64(n) //nolint:gosec // it counts entries
	f.latest = make(map[[2]string]uint64, len(f.entries))
	for i := range f.entries {
		if e := &f.entries[i]; !e.superseded {
			f.latest[[2]string{e.namespace, e.name}] = f.base + uint64(i)
		}
	}
	return bytes
}

// release ends the feed and removes its entries. The entries would otherwise keep objects in memory that no longer
// count towards the memory limit of the read cache. The caller must hold f.mu.
func (f *feed) release() {
	f.ended, f.content = true, nil
	f.base += uint64(len(f.entries))
	f.entries, f.latest = nil, nil
}

// wakeClients wakes the clients whose topics read the feed, so that they send the new events.
func (f *feed) wakeClients() {
	f.mu.Lock()
	f.wakeScheduled, f.lastWake = false, time.Now()
	followers := f.all()
	f.mu.Unlock()
	for _, t := range followers {
		t.client.wake()
	}
}

// all returns the topics that read the feed. The caller must hold f.mu.
func (f *feed) all() []*topic {
	out := make([]*topic, 0, len(f.followers))
	for t := range f.followers {
		out = append(out, t)
	}
	return out
}

// compare compares two ResourceVersions like cmp.Compare. It returns false if they are not comparable.
func compare(a, b string) (int, bool) {
	c, err := resourceversion.CompareResourceVersion(a, b)
	return c, err == nil
}

// resume returns the sequence number of the last entry that is not newer than the given ResourceVersion. It returns
// false if the feed does not contain all changes after the ResourceVersion. The caller must hold f.mu.
func (f *feed) resume(version string) (cursor uint64, ok bool) {
	if c, ok := compare(version, f.start); !ok || c < 0 {
		return 0, false
	}
	if f.mayLackDeletionsAfter(version) {
		return 0, false
	}
	return f.cursorAt(version), true
}

// cursorAt converts a ResourceVersion to a position in the feed. The position is the sequence number of the last entry
// that is not newer than the ResourceVersion. The caller must hold f.mu.
func (f *feed) cursorAt(version string) uint64 {
	i := sort.Search(len(f.entries), func(i int) bool {
		c, ok := compare(f.entries[i].version, version)
		return ok && c > 0
	})
	return f.base + uint64(i) - 1 //nolint:gosec // it is an index
}

// mayLackDeletionsAfter returns true if the feed may lack deletions after the given ResourceVersion. A client that
// resumes at this version would then keep deleted objects. The caller must hold f.mu.
func (f *feed) mayLackDeletionsAfter(resourceVersion string) bool {
	if f.relistVersion == "" {
		return false
	}
	// A new list does not show objects that were created and deleted since the previous list. Another replica may have
	// sent such an object to the client.
	c, ok := compare(f.relistVersion, resourceVersion)
	return !ok || c > 0
}

// add adds t to the topics that read the feed. It returns false if the feed has ended.
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
	t.releaseInitial()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.followers, t)
	if len(f.followers) == 0 {
		f.abandoned = time.Now()
	}
}

// isAbandoned returns true if no topic has read the feed since the given time.
func (f *feed) isAbandoned(since time.Time) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.followers) == 0 && f.abandoned.Before(since)
}

// event is a watch event for clients, such as the change of an object.
type event struct {
	// kind is the type of the event, such as ADDED.
	kind            string
	namespace, name string
	object          *readcache.Object
}

// Types of events, with the values of watch.EventType in Kubernetes.
const (
	added    = "ADDED"
	modified = "MODIFIED"
	deleted  = "DELETED"
	bookmark = "BOOKMARK"
	failed   = "ERROR"
)

// batch contains the next events for one client, about as many as fit into one message.
type batch struct {
	events []event
	// cursor is the sequence number of the last change in the feed that the batch covers.
	cursor uint64
	// revision is the number of updates that the feed had received when the batch was read.
	revision        uint64
	bookmarkVersion string
	// last is true if the feed contains no events after the batch.
	last bool
	// expired is true if the feed no longer contains all changes after the cursor.
	expired bool
}

// batchEvents bounds the number of events in a batch.
const batchEvents = 256

// collect returns the next events of the objects for which isSelected() returns true. The events are newer than the
// sequence number cursor. They are also newer than resumeVersion, unless this parameter is empty.
func (f *feed) collect(cursor uint64, resumeVersion string, isSelected func(namespace, name string) bool) batch {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if cursor+1 < f.base || (resumeVersion != "" && f.mayLackDeletionsAfter(resumeVersion)) {
		return batch{expired: true}
	}
	if resumeVersion != "" { // The client has received the earlier changes, perhaps from another replica.
		cursor = max(cursor, f.cursorAt(resumeVersion))
	}
	out, size := batch{cursor: cursor, revision: f.revision}, 0
	for i := cursor + 1 - f.base; i < uint64(len(f.entries)); i++ {
		if len(out.events) >= batchEvents || size >= messageBytes {
			return out
		}
		e := &f.entries[i]
		out.cursor = f.base + i
		if e.superseded || !isSelected(e.namespace, e.name) {
			continue
		}
		out.events = e.appendEvents(out.events, cursor, resumeVersion != "")
		if e.object != nil {
			size += len(e.object.JSON)
		}
	}
	out.bookmarkVersion, out.last = f.version, true
	if c, ok := compare(f.version, resumeVersion); ok && c < 0 { // the client is ahead of this replica
		out.bookmarkVersion = resumeVersion
	}
	return out
}

func (e *entry) appendEvents(events []event, cursor uint64, hasResumed bool) []event {
	one := event{namespace: e.namespace, name: e.name, object: e.object}
	// The client has received the changes up to the cursor.
	isNew, wasThere := e.created > cursor, e.deleted > cursor
	switch {
	case e.object == nil && isNew && !wasThere && !hasResumed:
		// The object was created and deleted after the cursor, so that the client does not know it. A client that has
		// resumed gets the deletion, because another replica may have sent the object.
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

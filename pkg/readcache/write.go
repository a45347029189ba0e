// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubevision-io/kubevision/pkg/rawjson"
)

const (
	// writeTimeout bounds the time for which a read waits until the cache contains earlier writes by the same user.
	// After this time, the read is sent to the API server.
	writeTimeout = time.Second
	// writeRetention is the time for which a write is remembered.
	writeRetention = 10 * time.Second
)

// Write describes a successful write by a user. Objects that this user reads later must include the write.
type Write struct {
	Resource        schema.GroupResource
	Namespace, Name string
	// Deleted is true if the object was deleted.
	Deleted bool
	// Response is the body of the response of the API server.
	Response []byte
}

type writeKey struct {
	cluster  Cluster
	resource schema.GroupResource
	user     string
}

const maxDeletions = 32

// written contains the recent writes by one user to one resource. Lists that the user reads must include these writes.
type written struct {
	lastVersion string
	// deleted contains the namespace and name of each deleted object.
	deleted [][2]string
	// uncheckable is true if the cache cannot check whether a list includes all writes by the user, for example because
	// there were more than maxDeletions deletions.
	uncheckable bool
	expires     time.Time
}

// Wrote remembers a write. For some seconds, each list that Get returns to the same user includes the write.
func (c *Cache) Wrote(cluster Cluster, user string, w Write) {
	if c == nil || !cacheable(w.Resource.WithVersion(""), "") {
		return
	}
	key := writeKey{cluster, w.Resource, user}
	// Without the lock, two concurrent writes of the user could replace the same entry, and one would be lost.
	c.writesMu.Lock()
	defer c.writesMu.Unlock()
	note := written{}
	if before, ok := c.writes.Get(key); ok {
		if before, ok := before.(*written); ok && time.Now().Before(before.expires) {
			note = *before
		}
	}
	note.expires = time.Now().Add(writeRetention)
	version := versionOf(w.Response)
	if len(version) > maxVersion { // the response is that of a cluster
		version = ""
	}
	if version != "" {
		note.lastVersion = version
	}
	switch {
	case w.Deleted && w.hasValidName() && len(note.deleted) < maxDeletions:
		note.deleted = append(slices.Clip(note.deleted), [2]string{w.Namespace, w.Name})
	case w.Deleted, version == "":
		note.uncheckable = true
	default:
		note.deleted, note.uncheckable = nil, false // The version of the write is later than those of the deletions.
	}
	c.writes.Add(key, &note)
}

func (w Write) hasValidName() bool {
	return w.Name != "" && len(w.Name) <= maxName && len(w.Namespace) <= maxName
}

// versionOf returns the resource version in the JSON of an object, or an empty string.
func versionOf(object []byte) string { return textAt(object, "metadata", "resourceVersion") }

// awaitWrite waits until the cached list includes the remembered writes by the user, and returns the list. It returns
// false if the list does not include them after writeTimeout. s is the current list.
func (c *Cache) awaitWrite(ctx context.Context, k *kind, s *Snapshot, user string) (*Snapshot, bool) {
	key := writeKey{k.key.cluster, k.key.resource.GroupResource(), user}
	value, _ := c.writes.Get(key)
	note, ok := value.(*written)
	if !ok {
		return s, true
	}
	valid := time.Now().Before(note.expires)
	if valid && note.uncheckable { // Waiting would not help, because no list can be compared with the writes.
		return nil, false
	}
	if valid && !note.includedIn(s) {
		ctx, cancel := context.WithTimeout(ctx, writeTimeout)
		defer cancel()
		if s, ok = k.store.await(ctx, note.includedIn); !ok {
			return nil, false
		}
	}
	c.writesMu.Lock()
	defer c.writesMu.Unlock()
	if last, ok := c.writes.Get(key); ok && last == value { // Later snapshots include the writes, too.
		c.writes.Remove(key)
	}
	return s, true
}

// includedIn returns true if the Snapshot includes the writes in w. The field w.uncheckable must be false.
func (w *written) includedIn(s *Snapshot) bool {
	if s == nil || (w.lastVersion != "" && !s.reaches(w.lastVersion)) {
		return false
	}
	for _, key := range w.deleted {
		if o := s.Get(key[0], key[1]); o != nil && !o.terminating() {
			return false
		}
	}
	return true
}

// terminating returns true if the object has a deletionTimestamp. A deleted object with finalizers remains in the list.
func (o *Object) terminating() bool {
	_, ok := rawjson.Lookup(o.JSON, "metadata", "deletionTimestamp")
	return ok
}

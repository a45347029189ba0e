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
	// writeTimeout bounds the time for which a read waits for earlier writes of its user. A read that has waited longer
	// bypasses the cache.
	writeTimeout = time.Second
	// writeMemory is the time for which a write is recorded.
	writeMemory = 10 * time.Second
)

// Write is a change that a user has made.
type Write struct {
	Resource        schema.GroupResource
	Namespace, Name string
	// Deleted is true if the object was deleted.
	Deleted bool
	// Response is the response of the API server.
	Response []byte
}

type writeKey struct {
	cluster  Cluster
	resource schema.GroupResource
	user     string
}

// maxDeleted bounds the recorded deletions of one user and kind. If there are more, the reads of the user bypass the
// cache for writeMemory.
const maxDeleted = 64

// written contains the last writes of a user.
type written struct {
	// version is the resource version that the store must reach. It may be empty.
	version string
	// deleted contains the objects that the store must not contain, by namespace and name.
	deleted [][2]string
	// unknown is true if the response contains no version that the store must reach.
	unknown bool
	expires time.Time
}

// Wrote records a write, so that later reads of the user include it.
func (c *Cache) Wrote(cluster Cluster, user string, w Write) {
	if c == nil || !cacheable(w.Resource.WithVersion("")) {
		return
	}
	key := writeKey{cluster, w.Resource, user}
	c.writing.Lock()
	defer c.writing.Unlock()
	note := written{}
	if before, ok := c.writes.Get(key); ok {
		if before, ok := before.(*written); ok && time.Now().Before(before.expires) {
			note = *before
		}
	}
	note.expires = time.Now().Add(writeMemory)
	version := versionOf(w.Response)
	if version != "" {
		note.version = version
	}
	switch {
	case w.Deleted && w.Name != "" && len(note.deleted) < maxDeleted:
		note.deleted = append(slices.Clip(note.deleted), [2]string{w.Namespace, w.Name})
	case w.Deleted, version == "":
		note.unknown = true
	default:
		note.deleted, note.unknown = nil, false // The version of the write is later than those of the deletions.
	}
	c.writes.Add(key, &note)
}

// versionOf returns the resource version of an object, or an empty string.
func versionOf(object []byte) string { return textAt(object, "metadata", "resourceVersion") }

// awaitWrite waits until the content includes the writes of the user, and returns it. It returns false after
// writeTimeout.
func (c *Cache) awaitWrite(ctx context.Context, k *kind, s *Snapshot, user string) (*Snapshot, bool) {
	key := writeKey{k.key.cluster, k.key.resource.GroupResource(), user}
	value, _ := c.writes.Get(key)
	note, ok := value.(*written)
	if !ok {
		return s, true
	}
	if time.Now().Before(note.expires) && !note.shownBy(s) {
		ctx, cancel := context.WithTimeout(ctx, writeTimeout)
		defer cancel()
		if s, ok = k.store.await(ctx, note.shownBy); !ok {
			return nil, false
		}
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	if last, ok := c.writes.Get(key); ok && last == value { // The version of a store never decreases.
		c.writes.Remove(key)
	}
	return s, true
}

// shownBy returns true if a snapshot includes the writes.
func (w *written) shownBy(s *Snapshot) bool {
	if s == nil || w.unknown || (w.version != "" && !s.reaches(w.version)) {
		return false
	}
	for _, key := range w.deleted {
		if o := s.Get(key[0], key[1]); o != nil && !o.terminating() {
			return false
		}
	}
	return true
}

// terminating returns true if an object is being deleted. The response to a deletion may have the version from before
// the deletion.
func (o *Object) terminating() bool {
	_, ok := rawjson.Lookup(o.JSON, "metadata", "deletionTimestamp")
	return ok
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"sync"
	"time"

	"github.com/kubevision-io/kubevision/pkg/readcache"
)

// initialObjects contains the existing objects that a client gets before the first change. If the client reads too
// slowly, the objects are released early, and the topic ends with an error.
type initialObjects struct {
	until   time.Time
	release func()

	mu sync.Mutex
	// groups contains the objects to send. Each slice in groups is removed after all of its objects were sent.
	groups     readcache.Groups
	groupIndex int
	// objectIndex is the index of the next object to send, within the Group of this object.
	objectIndex int
	dropped     bool
}

// newInitialObjects returns initialObjects with the objects of the given groups, which must belong to the given View.
func newInitialObjects(view readcache.View, groups readcache.Groups) *initialObjects {
	i := &initialObjects{groups: groups, until: time.Now().Add(initialPatience)}
	// The read cache calls drop if it has replaced too many of the objects. Therefore, a slow client cannot keep many
	// old objects in memory.
	i.release = sync.OnceFunc(view.Hold(i.drop))
	return i
}

// drop releases the objects. It does not block.
func (i *initialObjects) drop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.groups, i.dropped = nil, true
}

// take returns ADDED events for the next selected objects, about as many as fit into one message. isLast is true if no
// objects remain. ok is false if the client was too slow, so that the objects are no longer available.
func (i *initialObjects) take(isSelected func(namespace, name string) bool) (events []event, isLast, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.dropped || time.Now().After(i.until) {
		return nil, false, false
	}
	size := 0
	for len(i.groups) > 0 {
		if i.groupIndex == len(i.groups[0]) {
			i.groups, i.groupIndex = i.groups[1:], 0
			continue
		}
		for objects := i.groups[0][i.groupIndex].Objects; i.objectIndex < len(objects); i.objectIndex++ {
			if len(events) >= batchEvents || size >= messageBytes {
				return events, false, true
			}
			if o := objects[i.objectIndex]; isSelected(o.Namespace, o.Name) {
				events = append(events, event{kind: added, namespace: o.Namespace, name: o.Name, object: o})
				size += len(o.JSON)
			}
		}
		i.groupIndex, i.objectIndex = i.groupIndex+1, 0
	}
	return events, true, true
}

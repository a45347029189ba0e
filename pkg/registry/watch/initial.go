// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"sync"
	"time"

	"github.com/kubevision-io/kubevision/pkg/readcache"
)

// initialObjects contains the existing objects that a client gets before the first change. They come from a snapshot of
// the read cache. If the read cache has meanwhile replaced too many of them, it calls drop(), and the subscription ends
// with an error. Therefore, a slow client cannot keep many old objects in memory.
type initialObjects struct {
	until   time.Time
	release func()

	mu sync.Mutex
	// groups contains the remaining objects, in slices of Groups. take() removes the first slice after its last object.
	groups readcache.Groups
	// group is the index in groups[0] of the Group that contains the next object to send.
	group int
	// next is the index of the next object to send in its Group.
	next    int
	dropped bool
}

// newInitialObjects returns initialObjects with the objects of the given groups, which must belong to the given View.
func newInitialObjects(view readcache.View, groups readcache.Groups) *initialObjects {
	i := &initialObjects{groups: groups, until: time.Now().Add(initialPatience)}
	i.release = sync.OnceFunc(view.Hold(i.drop))
	return i
}

// drop releases the objects. It does not block.
func (i *initialObjects) drop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.groups, i.dropped = nil, true
}

// take returns ADDED events for the next objects, about as many as fit into one message. It omits objects for which
// isSelected() returns false. isLast is true if no objects remain. ok is false if the objects are no longer available:
// drop() was called, or initialPatience has passed since the subscription.
func (i *initialObjects) take(isSelected func(namespace, name string) bool) (events []event, isLast, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.dropped || time.Now().After(i.until) {
		return nil, false, false
	}
	size := 0
	for len(i.groups) > 0 {
		if i.group == len(i.groups[0]) {
			i.groups, i.group = i.groups[1:], 0
			continue
		}
		for objects := i.groups[0][i.group].Objects; i.next < len(objects); i.next++ {
			if len(events) >= batchEvents || size >= messageBytes {
				return events, false, true
			}
			if o := objects[i.next]; isSelected(o.Namespace, o.Name) {
				events = append(events, event{kind: added, namespace: o.Namespace, name: o.Name, object: o})
				size += len(o.JSON)
			}
		}
		i.group, i.next = i.group+1, 0
	}
	return events, true, true
}

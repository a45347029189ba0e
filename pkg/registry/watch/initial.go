// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"sync"
	"time"

	"github.com/kubevision-io/kubevision/pkg/readcache"
)

// initialObjects contains the objects that a topic sends before the first change. They are from a snapshot of the read
// cache. The read cache may call drop when many of the objects have been replaced by newer versions.
type initialObjects struct {
	until   time.Time
	release func()

	mu     sync.Mutex
	groups readcache.Groups
	// The next object is groups[0][group].Objects[next]. take() removes groups[0] after its last object.
	group, next int
	dropped     bool
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

// take returns ADDED events for the next objects, until about one message is full. It omits objects for which
// isSelected() returns false. isLast is true if no objects remain. ok is false if the objects were dropped, or if
// initialPatience has passed.
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

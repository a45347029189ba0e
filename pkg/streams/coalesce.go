// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"sync"
	"time"
)

const (
	// staleTime bounds the time for which an API server may still use an old RBAC object after a change.
	staleTime = 700 * time.Millisecond
	// callInterval is the time between the repeated calls that a Coalescer makes after one change of RBAC objects.
	callInterval = 300 * time.Millisecond
)

// Coalescer calls a function several times after a change of RBAC objects, because API servers may use the old objects
// for a short time. Several changes with the same key share the calls.
type Coalescer[K comparable] struct {
	mu sync.Mutex
	// changes maps each key with pending calls to the time of the last change with this key.
	changes map[K]time.Time
}

// Changed calls f in the background, and repeats the call for staleTime. If Changed is called again with the same key
// during this time, it repeats the first function for longer and ignores the new one. Therefore, all functions for a
// key must have the same effect.
func (c *Coalescer[K]) Changed(key K, f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changes == nil {
		c.changes = map[K]time.Time{}
	}
	_, isPending := c.changes[key]
	c.changes[key] = time.Now()
	if !isPending {
		time.AfterFunc(0, func() { c.run(key, f) })
	}
}

// run calls f. If an API server may have used old RBAC objects during the call, run schedules another call.
func (c *Coalescer[K]) run(key K, f func()) {
	began := time.Now()
	f()
	c.mu.Lock()
	defer c.mu.Unlock()
	// The last call must begin at least staleTime after the last change.
	left := staleTime - began.Sub(c.changes[key])
	if left <= 0 {
		delete(c.changes, key)
		return
	}
	time.AfterFunc(min(left, callInterval), func() { c.run(key, f) })
}

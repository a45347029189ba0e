// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"sync"
	"time"
)

const (
	// staleTime bounds the time for which an API server may still use an old RBAC object after a change.
	staleTime    = 700 * time.Millisecond
	callInterval = 300 * time.Millisecond
)

// Coalescer calls functions after changes of RBAC objects. It limits the number of calls if changes are frequent.
type Coalescer[K comparable] struct {
	mu         sync.Mutex
	lastChange map[K]time.Time
}

// Changed must be called after a change of an RBAC object. It calls f several times in the background, for about a
// second. If Changed is called again with the same key during this time, it does not call the new function. It only
// continues the calls of the first function until about a second after the new change. Therefore, all functions for one
// key must have the same effect.
func (c *Coalescer[K]) Changed(key K, f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lastChange == nil {
		c.lastChange = map[K]time.Time{}
	}
	_, isPending := c.lastChange[key]
	c.lastChange[key] = time.Now()
	if !isPending { // Otherwise, the calls of an earlier function continue for longer.
		time.AfterFunc(0, func() { c.run(key, f) })
	}
}

func (c *Coalescer[K]) run(key K, f func()) {
	began := time.Now()
	f()
	c.mu.Lock()
	defer c.mu.Unlock()
	// Until staleTime after the last change, an API server may have used old RBAC objects during the call.
	left := staleTime - began.Sub(c.lastChange[key])
	if left <= 0 {
		delete(c.lastChange, key)
		return
	}
	time.AfterFunc(min(left, callInterval), func() { c.run(key, f) })
}

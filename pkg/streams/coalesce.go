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
	// callInterval is the time between two calls of a function that a Coalescer repeats after a change of RBAC objects.
	callInterval = 300 * time.Millisecond
)

// Coalescer calls a function after a change of RBAC objects, and repeats the call until all API servers use the change.
// Changes with the same key share these calls.
type Coalescer[K comparable] struct {
	mu sync.Mutex
	// changes contains the time of the last change with each key. A key is removed after the last call.
	changes map[K]time.Time
}

// Changed starts repeated calls of the function in the background after a change of RBAC objects. If calls for the same
// key are not finished yet, Changed only prolongs these calls. Therefore, all functions for a key must have the same
// effect.
func (c *Coalescer[K]) Changed(key K, call func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changes == nil {
		c.changes = map[K]time.Time{}
	}
	_, isPending := c.changes[key]
	c.changes[key] = time.Now()
	if !isPending {
		time.AfterFunc(0, func() { c.run(key, call) })
	}
}

// run calls the function. If an API server may have used old RBAC objects during the call, run schedules another call.
func (c *Coalescer[K]) run(key K, call func()) {
	began := time.Now()
	call()
	c.mu.Lock()
	defer c.mu.Unlock()
	// The last call must begin at least staleTime after the last change.
	left := staleTime - began.Sub(c.changes[key])
	if left <= 0 {
		delete(c.changes, key)
		return
	}
	time.AfterFunc(min(left, callInterval), func() { c.run(key, call) })
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"sync"
	"time"
)

const (
	// staleTime is the time after a change of RBAC objects for which an API server may still use the old objects, with
	// a margin. callInterval is the time between two calls during that time.
	staleTime    = 700 * time.Millisecond
	callInterval = 300 * time.Millisecond
)

// Coalescer calls a function after changes of RBAC objects: immediately, and then repeatedly until API servers no
// longer use the old objects. It coalesces changes with the same key: each key has one timer and at most one call per
// callInterval.
type Coalescer[K comparable] struct {
	mu      sync.Mutex
	changes map[K]time.Time
}

// Changed reports a change. It does not block.
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

// run calls the function, and schedules the next call until staleTime has passed since the last change.
func (c *Coalescer[K]) run(key K, call func()) {
	began := time.Now()
	call()
	c.mu.Lock()
	defer c.mu.Unlock()
	left := staleTime - began.Sub(c.changes[key])
	if left <= 0 {
		delete(c.changes, key)
		return
	}
	time.AfterFunc(min(left, callInterval), func() { c.run(key, call) })
}

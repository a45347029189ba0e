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
	// callInterval is the time between the repeated calls that a Coalescer makes after a change of RBAC objects.
	callInterval = 300 * time.Millisecond
)

// Coalescer calls a function after a change of RBAC objects. It repeats the call every callInterval until staleTime has
// passed, because API servers may use the old objects until then. Each change has a key. If another change with the
// same key follows, the Coalescer continues the calls for longer instead of starting additional calls.
type Coalescer[K comparable] struct {
	mu      sync.Mutex
	changes map[K]time.Time
}

// Changed reports a change of RBAC objects, and starts calls of the given function in the background. The calls are
// repeated until staleTime has passed since the change. If calls for an earlier change with the same key continue,
// Changed only extends their time, and ignores the given function. Therefore, all functions for a key must have the
// same effect.
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

// run calls the given function after changes of RBAC objects. API servers may use old RBAC objects for staleTime after
// a change. If the call began within this time after the last change with the given key, run schedules another call.
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

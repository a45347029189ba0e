// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"sync"
	"time"
)

const (
	// staleTime bounds the time for which an API server may still use an old RBAC object after a change. callInterval
	// is the time between two calls of a Coalescer during this time.
	staleTime    = 700 * time.Millisecond
	callInterval = 300 * time.Millisecond
)

// Coalescer calls a function after changes of RBAC objects. It calls the function at once, and then every callInterval.
// The calls end staleTime after the last change, because API servers may use old RBAC objects until then. A further
// change with the same key starts no additional calls. The calls for the key then end later: staleTime after the
// further change.
type Coalescer[K comparable] struct {
	mu      sync.Mutex
	changes map[K]time.Time
}

// Changed reports a change, and starts repeated calls of the given function in the background (see Coalescer). If the
// calls for an earlier change with the same key have not ended, Changed does not use the given function. The function
// of the earlier change is then called until staleTime has passed since the new change.
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

// run calls the given function. If the call began less than staleTime after the last change with the given key, run
// schedules another call, because API servers may have used old RBAC objects during this call.
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

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

// Coalescer merges frequent changes of RBAC objects into few calls of a function. A single change also causes several
// calls, because API servers may use the old RBAC objects for a short time.
type Coalescer[K comparable] struct {
	mu sync.Mutex
	// lastChange contains only the keys for which calls are still in progress.
	lastChange map[K]time.Time
}

// Changed calls f in the background now, and again several times during staleTime. If calls for the same key are still
// in progress, Changed continues them for longer, and ignores f. Therefore, all functions for a key must have the same
// effect.
func (c *Coalescer[K]) Changed(key K, f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lastChange == nil {
		c.lastChange = map[K]time.Time{}
	}
	_, isPending := c.lastChange[key]
	c.lastChange[key] = time.Now()
	if !isPending {
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

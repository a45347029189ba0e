// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"sync"
	"sync/atomic"
)

// pool counts the memory of all stores, in bytes.
type pool struct {
	limit int64
	used  atomic.Int64
}

func (p *pool) over() bool { return p.used.Load() > p.limit }

// account counts the memory of one store, in bytes. Each change of this number also changes the number of the pool,
// which counts the memory of all stores.
type account struct {
	pool *pool

	mu sync.Mutex
	// loading is the memory of the objects that an incomplete list has sent so far.
	loading int64
	// kept is the memory of the stored objects.
	kept int64
	// held is the memory of replaced objects. The store no longer contains these objects, but responses in progress
	// still use them.
	held int64
	// buffered is the sum of the memory for reading from the cluster and the memory that subscribers have added with
	// Subscription.Count.
	buffered int64
	closed   bool
}

// load counts the memory of an object that the cluster has sent, while the rest of the list is still being read.
func (a *account) load(bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.loading += bytes
		a.pool.used.Add(bytes)
	}
}

// resetLoading subtracts the objects of an incomplete list from the counted memory. It is called before each new list.
func (a *account) resetLoading() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pool.used.Add(-a.loading)
	a.loading = 0
}

func (a *account) finishLoading(kept int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.pool.used.Add(kept - a.loading - a.kept)
		a.loading, a.kept = 0, kept
	}
}

// add adds the given number of bytes, which may be negative, to the counted memory of the stored objects.
func (a *account) add(bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.kept += bytes
		a.pool.used.Add(bytes)
	}
}

// buffer adds the given number of bytes, which may be negative, to the counted memory of read buffers and subscribers.
func (a *account) buffer(bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.buffered += bytes
		a.pool.used.Add(bytes)
	}
}

func (a *account) setHeld(held int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.pool.used.Add(held - a.held)
		a.held = held
	}
}

// total returns the sum of all memory that the account counts, in bytes.
func (a *account) total() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.loading + a.kept + a.held + a.buffered
}

// close stops counting the memory of the store. Later calls of the account's methods have no effect.
func (a *account) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pool.used.Add(-a.loading - a.kept - a.held - a.buffered)
	a.loading, a.kept, a.held, a.buffered, a.closed = 0, 0, 0, 0, true
}

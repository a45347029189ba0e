// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"sync"
	"sync/atomic"
)

// pool counts the bytes of all stores.
type pool struct {
	limit int64
	used  atomic.Int64
}

func (p *pool) over() bool { return p.used.Load() > p.limit }

// account counts the bytes of one store.
type account struct {
	pool *pool

	mu sync.Mutex
	// loading is the memory of objects of a list that is not complete, kept that of the store.
	loading, kept int64
	// held is the memory of objects that were replaced and that answers still refer to.
	held int64
	// buffered is the memory of the watch, and of an event that has not arrived completely.
	buffered int64
	closed   bool
}

// load counts an object of a list.
func (a *account) load(bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.loading += bytes
		a.pool.used.Add(bytes)
	}
}

// begin forgets a list that was not completed.
func (a *account) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pool.used.Add(-a.loading)
	a.loading = 0
}

// replace counts the bytes of a complete list instead of those before.
func (a *account) replace(bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.pool.used.Add(bytes - a.loading - a.kept)
		a.loading, a.kept = 0, bytes
	}
}

// add counts more bytes, or fewer.
func (a *account) add(bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.kept += bytes
		a.pool.used.Add(bytes)
	}
}

// buffer counts more bytes of the watch, or fewer.
func (a *account) buffer(bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.buffered += bytes
		a.pool.used.Add(bytes)
	}
}

// hold counts the bytes that answers hold of objects that were replaced.
func (a *account) hold(bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.pool.used.Add(bytes - a.held)
		a.held = bytes
	}
}

// close gives all bytes back, and counts no more.
func (a *account) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pool.used.Add(-a.loading - a.kept - a.held - a.buffered)
	a.loading, a.kept, a.held, a.buffered, a.closed = 0, 0, 0, 0, true
}

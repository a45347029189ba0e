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
	// loading is the memory of the objects of an incomplete list, and kept the memory of the store.
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

// begin forgets an incomplete list.
func (a *account) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pool.used.Add(-a.loading)
	a.loading = 0
}

// replace sets the bytes of the objects to those of a complete list.
func (a *account) replace(bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.pool.used.Add(bytes - a.loading - a.kept)
		a.loading, a.kept = 0, bytes
	}
}

// add counts more bytes of objects; a negative number counts fewer.
func (a *account) add(bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.kept += bytes
		a.pool.used.Add(bytes)
	}
}

// buffer counts more bytes of the event that is being read; a negative number counts fewer.
func (a *account) buffer(bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.buffered += bytes
		a.pool.used.Add(bytes)
	}
}

// hold sets the bytes of replaced objects to which responses still refer.
func (a *account) hold(bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.pool.used.Add(bytes - a.held)
		a.held = bytes
	}
}

// close releases all bytes. Later calls count nothing.
func (a *account) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pool.used.Add(-a.loading - a.kept - a.held - a.buffered)
	a.loading, a.kept, a.held, a.buffered, a.closed = 0, 0, 0, 0, true
}

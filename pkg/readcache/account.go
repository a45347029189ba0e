// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"sync"
	"sync/atomic"
)

// pool counts the memory of all stores.
type pool struct {
	limit int64
	used  atomic.Int64
}

func (p *pool) over() bool { return p.used.Load() > p.limit }

// account counts the memory of one store.
type account struct {
	pool *pool

	mu sync.Mutex
	// loading is the memory of the objects of an incomplete list. kept is the memory of the store.
	loading, kept int64
	// held is the memory of replaced objects to which responses still refer.
	held int64
	// buffered is the memory of the watch, including an incomplete event.
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

// begin releases the memory of an incomplete list.
func (a *account) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pool.used.Add(-a.loading)
	a.loading = 0
}

// replace sets the memory of the objects to the memory of a complete list.
func (a *account) replace(bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.pool.used.Add(bytes - a.loading - a.kept)
		a.loading, a.kept = 0, bytes
	}
}

// add adds bytes of objects. The number may be negative.
func (a *account) add(bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.kept += bytes
		a.pool.used.Add(bytes)
	}
}

// buffer adds bytes of the event that is being read. The number may be negative.
func (a *account) buffer(bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.buffered += bytes
		a.pool.used.Add(bytes)
	}
}

// hold sets the memory of replaced objects to which responses still refer.
func (a *account) hold(bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.pool.used.Add(bytes - a.held)
		a.held = bytes
	}
}

// close releases all memory. Later calls have no effect.
func (a *account) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pool.used.Add(-a.loading - a.kept - a.held - a.buffered)
	a.loading, a.kept, a.held, a.buffered, a.closed = 0, 0, 0, 0, true
}

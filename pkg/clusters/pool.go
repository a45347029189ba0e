// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"sync"
	"time"
)

// growthPart is the divisor of the part of a Pool that members may spend on changes. Beyond it, the member with most
// changes is read anew.
const growthPart = 4

// releaseTimeout bounds the wait for memory of members that were ended.
const releaseTimeout = 10 * time.Second

// Pool bounds the memory of the objects that are cached from all members. The zero value is not usable.
type Pool struct {
	total int64

	mu sync.Mutex
	// spent is the memory of all members. ending is the part of members that were ended and still hold memory.
	spent, ending int64
	// shares are the shares of members that were not ended.
	shares map[*share]struct{}
	// changed is closed when a member is ended or releases memory.
	changed chan struct{}
}

// NewPool returns a Pool of total bytes.
func NewPool(total int64) *Pool {
	return &Pool{total: total, shares: map[*share]struct{}{}, changed: make(chan struct{})}
}

// share is the part of a Pool that one member has spent. The lock of the Pool guards all fields but the first three.
type share struct {
	pool *Pool
	// limit bounds the memory of the member, in bytes.
	limit int64
	// registered is the creation time of the registration.
	registered time.Time

	spent int64
	// filled is the memory of the objects that existed when the member was connected. The rest is spent on changes,
	// most of which replace objects.
	filled int64
	// over is true once the member may spend nothing more, stopped once its connections are closed, and left once its
	// memory is not counted any more.
	over, stopped, left bool
	// exceeded is called once, when the member is over its limit or gives way to others.
	exceeded func()
}

func (p *Pool) join(limit int64, registered time.Time, exceeded func()) *share {
	s := &share{pool: p, limit: limit, registered: registered, exceeded: exceeded}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shares[s] = struct{}{}
	return s
}

// spend counts n more bytes; a negative n gives bytes back. It returns false if the member is over its limit, or has
// been ended in favor of others. While the pool is full, it waits for ended members to release their memory.
func (s *share) spend(n int64) bool {
	p := s.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.over || s.stopped {
		return !s.over
	}
	s.spent += n
	p.spent += n
	if s.spent > s.limit {
		p.end(s)
	}
	for p.spent-p.ending > p.total {
		p.end(p.next())
	}
	if n > 0 {
		p.await(func() bool { return p.spent <= p.total || s.over || s.stopped })
	}
	return !s.over
}

// await waits until a condition is true, for at most releaseTimeout. The caller holds the lock.
func (p *Pool) await(isTrue func() bool) {
	if isTrue() {
		return
	}
	timeout := time.NewTimer(releaseTimeout)
	defer timeout.Stop()
	for !isTrue() {
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
			p.mu.Lock()
		case <-timeout.C:
			p.mu.Lock()
			return
		}
	}
}

// wake wakes all that wait. The caller holds the lock.
func (p *Pool) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// end ends a member. Its memory counts until leave.
func (p *Pool) end(s *share) {
	s.over = true
	delete(p.shares, s)
	p.ending += s.spent
	p.wake()
	go s.exceeded()
}

// next returns the member to end. If changes take much memory, it is the member with most changes. Otherwise it is the
// newest of the members that take more than the average, so that new registrations cannot end the connections of older
// ones.
func (p *Pool) next() *share {
	average := (p.spent - p.ending) / int64(len(p.shares))
	var changes int64
	var most, last *share
	for s := range p.shares {
		changes += s.changes()
		if most == nil || s.changes() > most.changes() {
			most = s
		}
		if s.spent >= average && (last == nil || s.registered.After(last.registered)) {
			last = s
		}
	}
	if changes > p.total/growthPart {
		return most
	}
	return last
}

func (s *share) changes() int64 {
	if s.filled == 0 {
		return 0
	}
	return s.spent - s.filled
}

// markSynced records that the memory spent so far belongs to the initial objects.
func (s *share) markSynced() {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.filled = s.spent
}

func (s *share) isOver() bool {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	return s.over
}

// stop ends the waiting of a member whose connections are being closed.
func (s *share) stop() {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.stopped = true
	s.pool.wake()
}

// leave releases the memory of a member whose objects were dropped.
func (s *share) leave() {
	p := s.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.left {
		return
	}
	s.stopped, s.left = true, true
	if s.over {
		p.ending -= s.spent
	}
	delete(p.shares, s)
	p.spent -= s.spent
	p.wake()
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"sync"
	"time"
)

// growthPart determines the share of a Pool that changes may use: the size of the Pool divided by growthPart. If
// changes exceed this share, the objects of the member with the most changes are read again.
const growthPart = 4

// releaseTimeout bounds the wait for the memory of ended members.
const releaseTimeout = 10 * time.Second

// Pool bounds the memory of the objects that are cached from all members. The zero value is not usable.
type Pool struct {
	total int64

	mu sync.Mutex
	// spent is the memory of all members. ending is the memory of members that were ended and have not released it.
	spent, ending int64
	// shares contains the shares of members that were not ended.
	shares map[*share]struct{}
	// changed is closed when a member is ended or releases memory.
	changed chan struct{}
}

// NewPool returns a Pool of total bytes.
func NewPool(total int64) *Pool {
	return &Pool{total: total, shares: map[*share]struct{}{}, changed: make(chan struct{})}
}

// share is the part of a Pool that one member uses. The lock of the Pool guards all fields except the first three.
type share struct {
	pool *Pool
	// limit bounds the memory of the member, in bytes.
	limit int64
	// registered is the creation time of the registration.
	registered time.Time

	spent int64
	// filled is the memory of the initial objects of the connection. The rest is used for changes, most of which
	// replace objects.
	filled int64
	// over is true if the member may use no more memory. stopped is true after its connections are closed. left is true
	// after its memory is released.
	over, stopped, left bool
	// exceeded is called once, if the member exceeds its limit or must release memory for others.
	exceeded func()
}

func (p *Pool) join(limit int64, registered time.Time, exceeded func()) *share {
	s := &share{pool: p, limit: limit, registered: registered, exceeded: exceeded}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shares[s] = struct{}{}
	return s
}

// spend charges n bytes; a negative n releases bytes. It returns false if the member exceeds its limit, or was ended in
// favor of others. While the pool is full, it waits until ended members release their memory.
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

// await waits until a condition is true, for at most releaseTimeout. The caller must hold the lock.
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

// wake wakes all goroutines in await. The caller must hold the lock.
func (p *Pool) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// end ends a member. Its memory is charged until leave.
func (p *Pool) end(s *share) {
	s.over = true
	delete(p.shares, s)
	p.ending += s.spent
	p.wake()
	go s.exceeded()
}

// next returns the member to end. If changes use too much memory, it is the member with the most changes. Otherwise it
// is the newest member that uses more than the average, so that new registrations cannot end the connections of older
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

// markSynced records that the memory used so far belongs to the initial objects.
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

// stop ends the calls of spend that wait for memory, because the connections of the member are being closed. Later
// calls charge nothing.
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

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"sync"
	"time"
)

// growthPart is the part of a Pool, one in this number, that members may spend on changes before the member with most
// changes is read anew.
const growthPart = 4

// Pool bounds the memory that objects may take which are read of all members together. The zero value is not usable.
type Pool struct {
	total int64

	mu     sync.Mutex
	spent  int64
	shares map[*share]struct{}
}

// NewPool returns a Pool of so many bytes.
func NewPool(total int64) *Pool { return &Pool{total: total, shares: map[*share]struct{}{}} }

// share is what one member has spent of a Pool. All fields but the first three are guarded by its lock.
type share struct {
	pool *Pool
	// limit bounds what the member may spend, in bytes.
	limit int64
	// registered is when the member was registered.
	registered time.Time

	spent int64
	// filled is what was spent on the objects that were there when the member was connected. What is spent after that
	// is for changes, most of which replace objects.
	filled int64
	// over is true once the member may spend nothing any more, gone once nothing of it is counted.
	over, gone bool
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

// spend counts n more bytes, or n fewer if it is negative. It returns false if the member may not have them.
func (s *share) spend(n int64) bool {
	p := s.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.over || s.gone {
		return !s.over
	}
	s.spent += n
	p.spent += n
	if s.spent > s.limit {
		p.end(s)
	}
	for p.spent > p.total {
		p.end(p.next())
	}
	return !s.over
}

// end takes everything from a member. Its caches are gone soon after.
func (p *Pool) end(s *share) {
	s.over = true
	p.drop(s)
	go s.exceeded()
}

func (p *Pool) drop(s *share) {
	if _, ok := p.shares[s]; ok {
		delete(p.shares, s)
		p.spent -= s.spent
	}
}

// next returns the member that gives way: where changes take much, that with most of them; otherwise the one registered
// last of those that take more than the average. So whoever registers clusters cannot end the connections of older ones.
func (p *Pool) next() *share {
	average := p.spent / int64(len(p.shares))
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

// fill notes that what was spent so far is for the objects that are there.
func (s *share) fill() {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.filled = s.spent
}

func (s *share) isOver() bool {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	return s.over
}

// leave gives everything back, and counts nothing any more: the connection is closed.
func (s *share) leave() {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.gone = true
	s.pool.drop(s)
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"sync"
	"time"
)

// growthPart determines which member cluster is disconnected when a Pool is full. The memory of a cluster grows with
// each change of an object, because the Pool does not subtract previous versions. If this growth of all clusters
// exceeds 1/growthPart of the limit, the cluster with the largest growth is disconnected (see candidate). After the
// cluster is connected again, only the current versions of its objects are counted.
const growthPart = 4

// releaseTimeout bounds the wait until disconnected member clusters release their memory.
const releaseTimeout = 10 * time.Second

// Pool bounds the memory of the objects that are cached from all member clusters. NewPool creates one.
type Pool struct {
	total int64

	mu sync.Mutex
	// spent is the memory of all member clusters in bytes. ending is the part of it that belongs to disconnected
	// clusters and will be released soon.
	spent, ending int64
	// shares contains the member clusters that are not disconnected.
	shares map[*share]struct{}
	// changed is closed and replaced when a member cluster is disconnected or releases memory.
	changed chan struct{}
}

// NewPool returns a Pool with a limit of total bytes.
func NewPool(total int64) *Pool {
	return &Pool{total: total, shares: map[*share]struct{}{}, changed: make(chan struct{})}
}

// share is the part of a Pool that one member cluster uses. The lock of the Pool guards the fields that change.
type share struct {
	pool *Pool
	// limit bounds the memory of the member cluster, in bytes.
	limit int64
	// registered is the creation time of the KubeVisionCluster.
	registered time.Time

	spent int64
	// filled is the memory of the initial lists in bytes. All other memory counts as memory of changes. Each version of
	// a changed object increases the memory of changes, because previous versions are not subtracted.
	filled int64
	// over is true after the member cluster was disconnected because of its memory. stopped is true after its
	// connections were closed. left is true after its memory was released.
	over, stopped, left bool
	// exceeded is called once, when the member cluster is disconnected because its objects need too much memory.
	exceeded func()
}

func (p *Pool) join(limit int64, registered time.Time, exceeded func()) *share {
	s := &share{pool: p, limit: limit, registered: registered, exceeded: exceeded}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shares[s] = struct{}{}
	return s
}

// spend adds n bytes to the memory of the member cluster; a negative n subtracts bytes. It returns false if the cluster
// is disconnected, because it exceeds its limit or because other clusters need memory. While disconnected clusters
// still occupy the memory of the Pool, spend waits.
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
		p.end(p.candidate())
	}
	if n > 0 {
		p.await(func() bool { return p.spent <= p.total || s.over || s.stopped })
	}
	return !s.over
}

// await waits until isTrue returns true, for at most releaseTimeout. The caller must hold the lock.
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

// wake makes all goroutines that wait in await() check their conditions again. The caller must hold the lock.
func (p *Pool) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// end disconnects a member cluster. The memory of this cluster remains counted until leave() is called. The caller must
// hold the lock.
func (p *Pool) end(s *share) {
	s.over = true
	delete(p.shares, s)
	p.ending += s.spent
	p.wake()
	go s.exceeded()
}

// candidate returns the member cluster to disconnect:
//
//   - If the memory of all clusters has grown by more than 1/growthPart of the limit since their initial lists, this is
//     the cluster with the largest growth.
//   - If the growth is smaller, this is the newest cluster among those that use at least the average memory, so that a
//     new cluster with many objects cannot disconnect older clusters.
func (p *Pool) candidate() *share {
	average := (p.spent - p.ending) / int64(len(p.shares))
	var growth int64
	var most, last *share
	for s := range p.shares {
		growth += s.growth()
		if most == nil || s.growth() > most.growth() {
			most = s
		}
		if s.spent >= average && (last == nil || s.registered.After(last.registered)) {
			last = s
		}
	}
	if growth > p.total/growthPart {
		return most
	}
	return last
}

func (s *share) growth() int64 {
	if s.filled == 0 {
		return 0
	}
	return s.spent - s.filled
}

// markSynced records that the memory used so far belongs to the initial lists.
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

// stop ends the calls of spend() that wait for memory. Later calls of spend() do not change the counted memory.
func (s *share) stop() {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.stopped = true
	s.pool.wake()
}

// leave releases the memory of a member cluster whose objects were dropped.
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

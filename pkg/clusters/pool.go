// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"sync"
	"time"
)

const growthDivisor = 4

// releaseTimeout bounds the wait until the cached objects of disconnected member clusters are dropped.
const releaseTimeout = 10 * time.Second

// Pool bounds the memory of the objects that are cached from all member clusters. NewPool creates one.
type Pool struct {
	total int64

	mu sync.Mutex
	// spent is the memory of the cached objects of all member clusters, in bytes.
	spent int64
	// disconnectedBytes is the memory of objects that are still cached from disconnected member clusters, in bytes.
	// Pool.spent includes this memory.
	disconnectedBytes int64
	shares            map[*share]struct{}
	// changed is closed and replaced to wake the goroutines that wait for memory.
	changed chan struct{}
}

// NewPool returns a Pool. It limits the memory of all objects that are cached from member clusters. The limit is
// maxBytes.
func NewPool(maxBytes int64) *Pool {
	return &Pool{total: maxBytes, shares: map[*share]struct{}{}, changed: make(chan struct{})}
}

// share is the part of a Pool that one member cluster uses. The lock of the Pool guards the fields that change.
type share struct {
	pool *Pool
	// limit bounds the memory of the objects that are cached from the member cluster, in bytes.
	limit int64
	// registered is the creation time of the KubeVisionCluster.
	registered time.Time

	spent int64
	// initialBytes is the memory of the objects in the initial lists of the member cluster, in bytes. It is zero until
	// the informers have received these lists.
	initialBytes int64
	// disconnected is true after the Pool has disconnected the member cluster, because the objects of this cluster or
	// of all clusters need too much memory.
	disconnected bool
	// stopped is true after the connections to the member cluster were closed. From then on, no more memory is counted
	// for this cluster.
	stopped  bool
	released bool
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

// spend counts n bytes of cached objects. If a limit is then exceeded, it disconnects this or another cluster. It
// returns false if this cluster is disconnected.
func (s *share) spend(n int64) bool {
	p := s.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.disconnected || s.stopped {
		return !s.disconnected
	}
	s.spent += n
	p.spent += n
	if s.spent > s.limit {
		p.end(s)
	}
	for p.spent-p.disconnectedBytes > p.total {
		p.end(p.candidate())
	}
	if n > 0 { // wait until disconnected clusters have released their memory
		p.await(func() bool { return p.spent <= p.total || s.disconnected || s.stopped })
	}
	return !s.disconnected
}

// await waits until isTrue returns true or releaseTimeout has passed. The caller must hold the lock, which is released
// during the wait.
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

// end disconnects a member cluster. The Pool counts the cached objects of this cluster until they are dropped. The
// caller must hold the lock of the Pool.
func (p *Pool) end(s *share) {
	s.disconnected = true
	delete(p.shares, s)
	p.disconnectedBytes += s.spent // until leave is called
	p.wake()
	go s.exceeded()
}

// candidate returns the member cluster to disconnect when the Pool is full.
func (p *Pool) candidate() *share {
	average := (p.spent - p.disconnectedBytes) / int64(len(p.shares))
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
	if growth > p.total/growthDivisor { // Changes of cached objects have filled the Pool, not new clusters.
		return most
	}
	return last // A new cluster with many objects must not disconnect older clusters.
}

func (s *share) growth() int64 {
	if s.initialBytes == 0 {
		return 0
	}
	// The memory of previous versions of the objects is included. It no longer counts after the cluster is connected
	// again.
	return s.spent - s.initialBytes
}

func (s *share) markSynced() {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.initialBytes = s.spent
}

func (s *share) isDisconnected() bool {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	return s.disconnected
}

// stop ends the calls of s.spend that wait for memory. Later calls of s.spend return at once, and count no memory.
func (s *share) stop() {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.stopped = true
	s.pool.wake()
}

// leave subtracts the memory of the member cluster from the used memory of the Pool. It must be called after the cached
// objects of the cluster were released. Repeated calls have no effect.
func (s *share) leave() {
	p := s.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.released {
		return
	}
	s.stopped, s.released = true, true
	if s.disconnected {
		p.disconnectedBytes -= s.spent
	}
	delete(p.shares, s)
	p.spent -= s.spent
	p.wake()
}

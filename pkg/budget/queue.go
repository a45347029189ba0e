// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"
)

var (
	errQueue    = fmt.Errorf("%w: too many requests of one user are waiting for memory", ErrExceeded)
	errPatience = fmt.Errorf("%w: the work of the holder has waited for too long", ErrExceeded)
)

// QueueOptions configures a Queue.
type QueueOptions struct {
	// Total bounds the total cost of all work in progress.
	Total int64
	// Share bounds the total cost of the work in progress of each holder. A holder is usually a user.
	Share int64
	// Largest bounds the cost of one unit of work. A higher cost counts as Largest. Share is used instead if Largest is
	// zero, or if Largest exceeds Share.
	Largest int64
	// Waiting bounds the number of waiting units of work of each holder. A holder is usually a user.
	Waiting int
	// Patience bounds the time for which a unit of work waits.
	Patience time.Duration
}

// Queue limits the cost of all concurrent work, and the cost of the concurrent work of each owner. An owner is usually
// a user. Work that exceeds a limit waits. The Queue admits the waiting work of the owners round-robin.
type Queue struct {
	QueueOptions

	mu    sync.Mutex
	used  int64
	lanes map[string]*lane
	// waitingLanes contains the lanes with waiting work, in the order in which they are served.
	waitingLanes list.List
	// full is true while the next unit of work waits because it would raise the cost of all work in progress above
	// Total. Until this unit is admitted, no other work may begin. Otherwise, small units could delay a large unit
	// forever.
	full bool
}

// lane contains the waiting work of one owner, usually a user, and counts the work in progress.
type lane struct {
	holder string
	used   int64
	// running is the number of units of work in progress.
	running int
	// waiting contains the waiting units of work, the oldest first.
	waiting list.List
	// element is the element of the lane in Queue.waitingLanes, or nil.
	element *list.Element
}

// NewQueue returns a Queue without work.
func NewQueue(o QueueOptions) *Queue {
	if o.Largest <= 0 || o.Largest > o.Share {
		o.Largest = o.Share
	}
	return &Queue{QueueOptions: o, lanes: map[string]*lane{}}
}

// Place is a unit of work that waits in a Queue or that the Queue has admitted. The methods of a nil Place do nothing.
type Place struct {
	queue *Queue
	lane  *lane
	cost  int64
	// admitted is closed when the work may begin.
	admitted chan struct{}
	left     bool
}

// Enter waits until the Queue admits work of the holder, usually a user. At the end of the work, the caller must call
// Place.Leave. Enter returns ErrExceeded if too much work waits, or after QueueOptions.Patience.
func (q *Queue) Enter(ctx context.Context, holder string, cost int64) (*Place, error) {
	if q == nil {
		return nil, nil //nolint:nilnil // a nil Place is one
	}
	p, waits, err := q.join(holder, cost)
	if err != nil || !waits {
		return p, err
	}
	timer := time.NewTimer(q.Patience)
	defer timer.Stop()
	select {
	case <-p.admitted:
		return p, nil
	case <-ctx.Done():
		err = fmt.Errorf("waiting for other work of the holder: %w", ctx.Err())
	case <-timer.C:
		err = errPatience
	}
	if q.giveUp(p) {
		return nil, err
	}
	return p, nil // admitted at the same time
}

func (q *Queue) join(holder string, cost int64) (p *Place, waits bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lanes[holder]
	if l == nil {
		l = &lane{holder: holder}
		q.lanes[holder] = l
	}
	p = &Place{queue: q, lane: l, cost: min(cost, q.Largest), admitted: make(chan struct{})}
	switch {
	case l.waiting.Len() == 0 && !q.full && q.hasRoom(p):
		q.admitLocked(p)
		return p, false, nil
	case l.waiting.Len() >= q.Waiting:
		return nil, false, errQueue
	}
	q.full = q.full || l.waiting.Len() == 0 && q.hasShare(p)
	l.waiting.PushBack(p)
	if l.element == nil {
		l.element = q.waitingLanes.PushBack(l)
	}
	return p, true, nil
}

// hasRoom returns true if the work may begin without exceeding Total or Share. It also returns true if no other work is
// in progress. The caller must hold the lock.
func (q *Queue) hasRoom(p *Place) bool {
	return q.hasShare(p) && (q.used == 0 || q.used+p.cost <= q.Total)
}

func (q *Queue) hasShare(p *Place) bool { return p.lane.used == 0 || p.lane.used+p.cost <= q.Share }

func (q *Queue) admitLocked(p *Place) {
	q.used += p.cost
	p.lane.used += p.cost
	p.lane.running++
	close(p.admitted)
}

func (q *Queue) admitWaitingLocked() {
	q.full = false
	for element := q.waitingLanes.Front(); element != nil; {
		l, _ := element.Value.(*lane)
		first, _ := l.waiting.Front().Value.(*Place)
		following := element.Next()
		if q.hasShare(first) { // a holder that has reached Share does not delay other holders
			if !q.hasRoom(first) {
				q.full = true
				return
			}
			l.waiting.Remove(l.waiting.Front())
			q.admitLocked(first)
			q.requeueLocked(l) // the other lanes are next
			if following == nil {
				following = q.waitingLanes.Front()
			}
		}
		element = following
	}
}

func (q *Queue) requeueLocked(l *lane) {
	if l.element != nil {
		q.waitingLanes.Remove(l.element)
		l.element = nil
	}
	if l.waiting.Len() > 0 {
		l.element = q.waitingLanes.PushBack(l)
	}
}

// giveUp removes waiting work. It returns false if the work was admitted meanwhile.
func (q *Queue) giveUp(p *Place) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for e := p.lane.waiting.Front(); e != nil; e = e.Next() {
		if e.Value != p {
			continue
		}
		p.lane.waiting.Remove(e)
		if p.lane.waiting.Len() == 0 {
			q.requeueLocked(p.lane)
		}
		q.forget(p.lane)
		q.admitWaitingLocked()
		return true
	}
	return false
}

// forget removes the lane of an owner of work if the lane contains neither waiting work nor work in progress. The
// caller must hold the lock.
func (q *Queue) forget(l *lane) {
	if l.running == 0 && l.waiting.Len() == 0 {
		delete(q.lanes, l.holder)
	}
}

// Grow increases the cost of work in progress, up to QueueOptions.Largest. It never waits for other work.
func (p *Place) Grow(increase int64) {
	if p == nil || increase <= 0 {
		return
	}
	p.queue.mu.Lock()
	defer p.queue.mu.Unlock()
	if p.left {
		return
	}
	increase = min(increase, p.queue.Largest-p.cost)
	p.cost += increase
	p.lane.used += increase
	p.queue.used += increase
}

// Leave ends the work. Repeated calls have no effect.
func (p *Place) Leave() {
	if p == nil {
		return
	}
	q := p.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if p.left {
		return
	}
	p.left = true
	q.used -= p.cost
	p.lane.used -= p.cost
	p.lane.running--
	q.admitWaitingLocked()
	q.forget(p.lane)
}

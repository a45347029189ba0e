// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"maps"
	"slices"
	"time"
)

// flow is a network or an account. Turns are shared fairly among flows.
type flow struct {
	name string
	// cost is the share of a turn that one attempt of the flow takes.
	cost float64
}

// ticket is a waiting attempt.
type ticket struct {
	// account is the account of the attempt. Attempts of one account run one at a time.
	account string
	flows   []flow
	// start is the position in the queue. The ticket with the smallest start is next.
	start float64
	// outcome receives nil when the attempt may run, or an error if it is refused.
	outcome chan error
}

// fairQueue is the queue of a class. It implements start-time fair queueing: consecutive attempts of a flow are one
// round apart, and the flow that has waited longest is next. Times are in rounds.
type fairQueue struct {
	limit   int
	waiting []*ticket // in the order of arrival
	now     float64
	// finish is the start time of the next attempt of a flow. Flows that may start at once have no entry.
	finish map[string]float64
}

// finishFactor bounds the flows of a queue, as a multiple of its limit.
const finishFactor = 16

// place returns the start of a new attempt, and the number of attempts before it.
func (l *fairQueue) place(flows []flow) (start float64, ahead int) {
	start = l.now
	for _, f := range flows {
		start = max(start, l.finish[f.name])
	}
	for _, t := range l.waiting {
		if t.start <= start {
			ahead++
		}
	}
	return start, ahead
}

// join adds a ticket. If the queue is full, it removes and returns the last ticket, which may be the new one.
func (l *fairQueue) join(t *ticket) (refused *ticket) {
	if len(l.waiting) >= l.limit {
		last := 0
		for i, other := range l.waiting {
			if other.start >= l.waiting[last].start {
				last = i
			}
		}
		if l.waiting[last].start <= t.start {
			return t
		}
		refused = l.waiting[last]
		l.waiting = slices.Delete(l.waiting, last, last+1)
	}
	l.waiting = append(l.waiting, t)
	if l.finish == nil {
		l.finish = map[string]float64{}
	}
	for _, f := range t.flows {
		l.finish[f.name] = t.start + f.cost
	}
	l.forget()
	return refused
}

// next removes and returns the next ticket whose account is not busy, or nil.
func (l *fairQueue) next(busy map[string]bool) *ticket {
	first := -1
	for i, t := range l.waiting {
		if !busy[t.account] && (first < 0 || t.start < l.waiting[first].start) {
			first = i
		}
	}
	if first < 0 {
		return nil
	}
	t := l.waiting[first]
	l.now = max(l.now+1/float64(len(l.waiting)), t.start)
	l.waiting = slices.Delete(l.waiting, first, first+1)
	return t
}

// leave removes a ticket. It returns false if the ticket was removed before.
func (l *fairQueue) leave(t *ticket) bool {
	i := slices.Index(l.waiting, t)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	return true
}

// forget bounds the number of recorded flows. It removes the flows that may start immediately, and removes all flows if
// too many remain.
func (l *fairQueue) forget() {
	if len(l.finish) <= finishFactor*l.limit {
		return
	}
	maps.DeleteFunc(l.finish, func(_ string, at float64) bool { return at <= l.now })
	if len(l.finish) > finishFactor*l.limit/2 {
		clear(l.finish)
	}
}

// pool contains a number of places, and the queues of the attempts that wait for a place. Free places go to the queues
// in turn.
type pool struct {
	places, free int
	lines        []*fairQueue
	last         int
	// took is the average duration of the latest attempts.
	took time.Duration
}

// waiting returns the number of tickets in all queues.
func (p *pool) waiting() (n int) {
	for _, l := range p.lines {
		n += len(l.waiting)
	}
	return n
}

// wait estimates how long an attempt waits if ahead attempts precede it in its queue.
func (p *pool) wait(ahead int) time.Duration {
	others := 0
	for _, l := range p.lines {
		if len(l.waiting) > 0 {
			others++
		}
	}
	return time.Duration(ahead*max(others, 1)) * p.took / time.Duration(p.places)
}

// next removes and returns a ticket of the queue whose turn it is, or returns nil if no attempt may run.
func (p *pool) next(busy map[string]bool) *ticket {
	for range p.lines {
		p.last = (p.last + 1) % len(p.lines)
		if t := p.lines[p.last].next(busy); t != nil {
			return t
		}
	}
	return nil
}

// averaging determines the moving average of durations: a new measurement has the weight 1/averaging.
const averaging = 8

func (p *pool) observe(took time.Duration) { p.took += (took - p.took) / averaging }

// restAfter returns the time for which a place remains unused after a failed attempt: restFactor times the duration of
// the attempt, or less if the last waiting attempt would not be served in time.
func (p *pool) restAfter(took time.Duration) time.Duration {
	rest := min(restFactor*took, maxRest)
	if n := p.waiting(); n > 0 {
		rest = min(rest, served*time.Duration(p.places)/time.Duration(n)-took)
	}
	return max(rest, 0)
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"maps"
	"slices"
	"time"
)

// flow is a network or an account. Flows share the turns.
type flow struct {
	name string
	// cost is the part of the flow's share that one attempt takes.
	cost float64
}

// ticket is a waiting attempt.
type ticket struct {
	// account is the account of the attempt. One attempt at a time works on an account.
	account string
	flows   []flow
	// start orders the tickets. The ticket with the smallest start is next.
	start float64
	// outcome receives nil when the attempt may work, and an error if it is refused.
	outcome chan error
}

// fairQueue is the queue of a class, in the order of start-time fair queueing: the attempts of one network or account
// are one round apart, and the flow that was not served for longest is next. The line measures time in rounds.
type fairQueue struct {
	limit   int
	waiting []*ticket // in the order of arrival
	now     float64
	// finish is the time at which the next attempt of a flow is due. It has no entry for flows that may continue at
	// once.
	finish map[string]float64
}

// finishFactor bounds the flows that a line remembers, as a multiple of its limit.
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

// join adds a ticket. If the line is full, it returns the last ticket, which is refused and may be the new one.
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

// forget drops the flows that may continue at once, if there are many flows, and all flows if too many remain.
func (l *fairQueue) forget() {
	if len(l.finish) <= finishFactor*l.limit {
		return
	}
	maps.DeleteFunc(l.finish, func(_ string, at float64) bool { return at <= l.now })
	if len(l.finish) > finishFactor*l.limit/2 {
		clear(l.finish)
	}
}

// pool has places to work in, and the lines that wait for them in turn.
type pool struct {
	places, free int
	lines        []*fairQueue
	last         int
	// took is the average duration of the latest attempts.
	took time.Duration
}

// waiting returns the number of tickets in all lines.
func (p *pool) waiting() (n int) {
	for _, l := range p.lines {
		n += len(l.waiting)
	}
	return n
}

// wait estimates the wait of an attempt with a number of attempts before it in its line.
func (p *pool) wait(ahead int) time.Duration {
	others := 0
	for _, l := range p.lines {
		if len(l.waiting) > 0 {
			others++
		}
	}
	return time.Duration(ahead*max(others, 1)) * p.took / time.Duration(p.places)
}

// next removes a ticket from the lines in turn.
func (p *pool) next(busy map[string]bool) *ticket {
	for range p.lines {
		p.last = (p.last + 1) % len(p.lines)
		if t := p.lines[p.last].next(busy); t != nil {
			return t
		}
	}
	return nil
}

// averaging is the divisor of the weight of the last attempt in the average.
const averaging = 8

func (p *pool) observe(took time.Duration) { p.took += (took - p.took) / averaging }

// restAfter returns how long the place of a failed attempt stays empty: restFactor times the duration of the attempt,
// and less if so many wait that the last of them would not be served in time.
func (p *pool) restAfter(took time.Duration) time.Duration {
	rest := min(restFactor*took, maxRest)
	if n := p.waiting(); n > 0 {
		rest = min(rest, served*time.Duration(p.places)/time.Duration(n)-took)
	}
	return max(rest, 0)
}

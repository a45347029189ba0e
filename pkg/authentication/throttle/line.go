// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"maps"
	"slices"
	"time"
)

// flow is a network or an account, which shares the turns with the others.
type flow struct {
	name string
	// cost is what one attempt takes of the flow's share.
	cost float64
}

// ticket is an attempt that waits.
type ticket struct {
	// account is the account that is worked on by one attempt at a time.
	account string
	flows   []flow
	// start orders the tickets: the smallest is next.
	start float64
	// outcome is nil once the attempt may work, and an error once it is refused.
	outcome chan error
}

// line is the tickets of a class, in the order of start-time fair queueing: the attempts of one network or account follow each other at
// the distance of a round, and whoever has not been served lately is next. The line counts the time in rounds.
type line struct {
	limit   int
	waiting []*ticket // in the order of arrival
	now     float64
	// finish is when the next attempt of a flow is due. Flows that may go on at once are not in it.
	finish map[string]float64
}

// finishFactor bounds the flows that a line remembers, by its limit.
const finishFactor = 16

// place returns the start of an attempt, and how many are before it.
func (l *line) place(flows []flow) (start float64, ahead int) {
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

// join adds a ticket, and returns the one that gives way to it where the line is full: the last one. It is the ticket itself where that would
// be the last.
func (l *line) join(t *ticket) (refused *ticket) {
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

// next takes the ticket out whose turn it is among those whose account nobody works on, nil where there is none.
func (l *line) next(busy map[string]bool) *ticket {
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

// leave takes a ticket out. It is false where that has happened before.
func (l *line) leave(t *ticket) bool {
	i := slices.Index(l.waiting, t)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	return true
}

// forget drops the flows that may go on at once, where there are many: and all, where it finds too few of those.
func (l *line) forget() {
	if len(l.finish) <= finishFactor*l.limit {
		return
	}
	maps.DeleteFunc(l.finish, func(_ string, at float64) bool { return at <= l.now })
	if len(l.finish) > finishFactor*l.limit/2 {
		clear(l.finish)
	}
}

// pool is places to work in, and the lines that wait for them in turn.
type pool struct {
	places, free int
	lines        []*line
	last         int
	// took is how long an attempt takes, on average of the last ones.
	took time.Duration
}

// waiting is the number of tickets in all lines.
func (p *pool) waiting() (n int) {
	for _, l := range p.lines {
		n += len(l.waiting)
	}
	return n
}

// wait is how long an attempt waits with so many before it in its line.
func (p *pool) wait(ahead int) time.Duration {
	others := 0
	for _, l := range p.lines {
		if len(l.waiting) > 0 {
			others++
		}
	}
	return time.Duration(ahead*max(others, 1)) * p.took / time.Duration(p.places)
}

// next takes a ticket out of the lines in turn.
func (p *pool) next(busy map[string]bool) *ticket {
	for range p.lines {
		p.last = (p.last + 1) % len(p.lines)
		if t := p.lines[p.last].next(busy); t != nil {
			return t
		}
	}
	return nil
}

// averaging is how much of the average the last attempt is.
const averaging = 8

func (p *pool) observe(took time.Duration) { p.took += (took - p.took) / averaging }

// rest is how long the place of a failed attempt stays empty: restFactor times as long as the attempt took, and less where so many wait that
// the last of them would not be served in time.
func (p *pool) rest(took time.Duration) time.Duration {
	rest := min(restFactor*took, maxRest)
	if n := p.waiting(); n > 0 {
		rest = min(rest, served*time.Duration(p.places)/time.Duration(n)-took)
	}
	return max(rest, 0)
}

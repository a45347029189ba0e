// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"maps"
	"slices"
	"time"
)

// flow is a group of attempts: those for one account, in one session, from one known device or from one network. An
// attempt may belong to several flows. The fair queue divides its capacity among the flows with waiting attempts.
type flow struct {
	name string
	// cost determines the share of the flow in the capacity of the fair queue. A flow with half the cost gets twice the
	// share. A network of many clients has a lower cost than an account.
	cost float64
}

// ticket is an attempt that waits in a fairQueue.
type ticket struct {
	// account identifies the user account, the session or the known device of the attempt. Attempts with the same
	// account run one after another.
	account string
	flows   []flow
	// startTag orders the waiting attempts. The attempt with the smallest startTag runs first.
	startTag float64
	// outcome receives nil when the attempt may run, or an error if it is rejected.
	outcome chan error
}

// fairQueue is the queue of the waiting attempts of one Class. It divides the capacity among flows, such as accounts
// and networks, with start-time fair queueing: each attempt of a flow increases the start tag of the next attempt of
// the flow. The attempt with the smallest start tag runs first.
type fairQueue struct {
	limit int
	// waiting contains the waiting attempts in the order of arrival.
	waiting []*ticket
	// minTag is the smallest start tag that a new attempt can get. It increases when attempts run.
	minTag float64
	// finishTags contains the smallest start tag that the next attempt of each flow can get. The key is the name of the
	// flow.
	finishTags map[string]float64
}

// finishFactor is the maximum number of flows that a fairQueue remembers, divided by the maximum number of waiting
// attempts.
const finishFactor = 16

// place returns the start tag of a new attempt of the given flows, and the number of waiting attempts that run before
// the new attempt.
func (l *fairQueue) place(flows []flow) (startTag float64, ahead int) {
	startTag = l.minTag
	for _, f := range flows {
		startTag = max(startTag, l.finishTags[f.name])
	}
	for _, t := range l.waiting {
		if t.startTag <= startTag {
			ahead++
		}
	}
	return startTag, ahead
}

// join adds a waiting attempt to the queue. If the queue is full, join removes and returns the attempt that would run
// last, which may be t itself.
func (l *fairQueue) join(t *ticket) (refused *ticket) {
	if len(l.waiting) >= l.limit {
		last := 0
		for i, other := range l.waiting {
			if other.startTag >= l.waiting[last].startTag {
				last = i
			}
		}
		if l.waiting[last].startTag <= t.startTag {
			return t
		}
		refused = l.waiting[last]
		l.waiting = slices.Delete(l.waiting, last, last+1)
	}
	l.waiting = append(l.waiting, t)
	if l.finishTags == nil {
		l.finishTags = map[string]float64{}
	}
	for _, f := range t.flows {
		l.finishTags[f.name] = t.startTag + f.cost
	}
	l.forget()
	return refused
}

// next removes and returns the waiting attempt that may run next, or returns nil if there is none. It skips attempts of
// busy accounts, which have a running attempt.
func (l *fairQueue) next(busy map[string]bool) *ticket {
	first := -1
	for i, t := range l.waiting {
		if !busy[t.account] && (first < 0 || t.startTag < l.waiting[first].startTag) {
			first = i
		}
	}
	if first < 0 {
		return nil
	}
	t := l.waiting[first]
	l.minTag = max(l.minTag+1/float64(len(l.waiting)), t.startTag)
	l.waiting = slices.Delete(l.waiting, first, first+1)
	return t
}

// leave removes a ticket. It returns false if the ticket is not in the queue.
func (l *fairQueue) leave(t *ticket) bool {
	i := slices.Index(l.waiting, t)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	return true
}

// forget removes entries from l.finishTags if there are too many. It prefers entries that no longer delay an attempt.
func (l *fairQueue) forget() {
	if len(l.finishTags) <= finishFactor*l.limit {
		return
	}
	maps.DeleteFunc(l.finishTags, func(_ string, tag float64) bool { return tag <= l.minTag })
	// Afterwards, there is room for many new entries, so that few calls have to search the map.
	if len(l.finishTags) > finishFactor*l.limit/2 {
		clear(l.finishTags)
	}
}

// pool runs a limited number of attempts at the same time. It serves its queues in turn (round robin).
type pool struct {
	// places is the maximum number of running attempts.
	places int
	// free is the number of attempts that may start now.
	free  int
	lines []*fairQueue
	last  int
	// took is the moving average of the duration of attempts.
	took time.Duration
}

// waiting returns the number of waiting attempts.
func (p *pool) waiting() (n int) {
	for _, l := range p.lines {
		n += len(l.waiting)
	}
	return n
}

// wait estimates how long an attempt waits behind the given number of attempts in the same queue.
func (p *pool) wait(ahead int) time.Duration {
	others := 0
	for _, l := range p.lines {
		if len(l.waiting) > 0 {
			others++
		}
	}
	return time.Duration(ahead*max(others, 1)) * p.took / time.Duration(p.places)
}

// next removes and returns the waiting attempt that may run next, or returns nil if there is none. It skips attempts of
// busy accounts, which have a running attempt.
func (p *pool) next(busy map[string]bool) *ticket {
	for range p.lines {
		p.last = (p.last + 1) % len(p.lines)
		if t := p.lines[p.last].next(busy); t != nil {
			return t
		}
	}
	return nil
}

// averaging determines the weight of a new duration in the moving average. The weight is 1/averaging.
const averaging = 8

func (p *pool) observe(took time.Duration) { p.took += (took - p.took) / averaging }

// restAfter returns the pause after a failed attempt. During the pause, the attempt still counts as running, so that no
// other attempt starts instead. The pause is restFactor times the duration of the attempt. It is at most maxRest, and
// shorter if many attempts are waiting.
func (p *pool) restAfter(took time.Duration) time.Duration {
	rest := min(restFactor*took, maxRest)
	if n := p.waiting(); n > 0 {
		rest = min(rest, drainTime*time.Duration(p.places)/time.Duration(n)-took)
	}
	return max(rest, 0)
}

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
	// cost determines the share of the flow in the capacity of the fair queue. If a flow has half the cost of another
	// flow, it gets twice as many attempts. The cost is at most 1 for a network, and 1 for each other flow.
	cost float64
}

// ticket is an attempt that waits in a fairQueue.
type ticket struct {
	// account identifies the user account, the session or the known device of the attempt. Attempts with the same
	// account run one after another.
	account string
	flows   []flow
	// start determines the order in which attempts run. The attempt with the smallest start runs first. The unit is a
	// round of the queue, in which each account gets at most one attempt.
	start float64
	// outcome receives nil when the attempt may run, or an error if it is rejected.
	outcome chan error
}

// fairQueue is the queue of the waiting attempts of one Class. It divides the capacity among flows, such as accounts
// and networks, with start-time fair queueing. The virtual time of the queue counts rounds. In each round, a flow with
// the cost 1 gets at most one attempt. A flow with a lower cost may get more attempts.
type fairQueue struct {
	limit int
	// waiting contains the waiting attempts in the order of arrival.
	waiting []*ticket
	// now is the current virtual time of the queue, which counts rounds. In a round, each account gets at most one
	// attempt.
	now float64
	// finish contains the earliest virtual start time of the next attempt of each flow, in rounds. The key is the name
	// of the flow, for example of an account or a network. The next attempt of a flow without an entry may start at
	// once.
	finish map[string]float64
}

// finishFactor bounds the number of entries in fairQueue.finish. The maximum is finishFactor multiplied by
// fairQueue.limit.
const finishFactor = 16

// place determines the place of a new attempt in the queue. The attempt belongs to the given flows, such as an account
// and networks. start is the virtual start time of the attempt, in rounds of the queue. ahead is the number of waiting
// attempts that run before the new attempt.
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

// join adds the ticket of a waiting attempt to the queue. If the queue is full, join removes and returns the ticket
// with the largest virtual start time. The returned ticket may be t itself.
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

// next removes and returns the ticket of the attempt that runs next, which has the smallest virtual start time. It
// skips the tickets of busy accounts, which have a running attempt. It returns nil if no attempt may run.
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

// leave removes a ticket. It returns false if the ticket is not in the queue.
func (l *fairQueue) leave(t *ticket) bool {
	i := slices.Index(l.waiting, t)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	return true
}

// forget bounds the number of entries in l.finish. Above the limit, it removes the entries whose time has passed,
// because they no longer delay an attempt. If the number is then still above half of the limit, forget removes all
// entries. The next attempt of each account, device or network may then start at once.
func (l *fairQueue) forget() {
	if len(l.finish) <= finishFactor*l.limit {
		return
	}
	maps.DeleteFunc(l.finish, func(_ string, at float64) bool { return at <= l.now })
	if len(l.finish) > finishFactor*l.limit/2 {
		clear(l.finish)
	}
}

// pool runs a limited number of attempts at the same time. It serves its queues in turn (round robin).
type pool struct {
	// places is the maximum number of running attempts. free is the number of attempts that may start now.
	places, free int
	lines        []*fairQueue
	last         int
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

// next removes and returns the ticket of a waiting attempt that may run. It serves the queues in turn. It returns nil
// if no waiting attempt may run.
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

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"maps"
	"slices"
	"time"
)

// flow is a group of attempts, for example all attempts for one account or from one network. The fair queue divides its
// capacity among the flows with waiting attempts. An attempt may belong to several flows.
type flow struct {
	name string
	cost float64
}

// ticket is an attempt that waits in a fairQueue.
type ticket struct {
	// account is a key for the user account, the session or the known device of the attempt. Attempts with the same key
	// run one after another.
	account string
	flows   []flow
	// rank determines the order of the waiting attempts. The attempt with the lowest rank runs first.
	rank float64
	// outcome receives nil when the attempt may run, or an error if it is rejected.
	outcome chan error
}

// fairQueue contains the waiting attempts of one Class. It divides the capacity fairly among accounts, devices and
// networks, with start-time fair queueing: the attempt with the lowest rank runs first.
type fairQueue struct {
	limit int
	// waiting contains the waiting attempts in the order of arrival.
	waiting []*ticket
	// minRank is the lowest rank that a new attempt can get. It increases each time an attempt starts to run.
	minRank float64
	// nextRanks maps the name of an account, device or network to the lowest rank that its next attempt can get.
	nextRanks map[string]float64
}

const flowsPerAttempt = 16

func (l *fairQueue) position(flows []flow) (rank float64, ahead int) {
	rank = l.minRank
	for _, f := range flows { // The attempt belongs to all of these flows.
		rank = max(rank, l.nextRanks[f.name])
	}
	for _, t := range l.waiting {
		if t.rank <= rank {
			ahead++
		}
	}
	return rank, ahead
}

// join adds a waiting attempt to the queue. If the queue is full, join removes and returns the attempt that would run
// last, which may be t itself.
func (l *fairQueue) join(t *ticket) (refused *ticket) {
	if len(l.waiting) >= l.limit {
		last := 0
		for i, other := range l.waiting {
			if other.rank >= l.waiting[last].rank {
				last = i
			}
		}
		if l.waiting[last].rank <= t.rank {
			return t
		}
		refused = l.waiting[last]
		l.waiting = slices.Delete(l.waiting, last, last+1)
	}
	l.waiting = append(l.waiting, t)
	if l.nextRanks == nil {
		l.nextRanks = map[string]float64{}
	}
	for _, f := range t.flows {
		l.nextRanks[f.name] = t.rank + f.cost // With half the cost, the attempts of the flow run twice as often.
	}
	l.forget()
	return refused
}

// next removes and returns the waiting attempt that may run next, or returns nil if there is none. It skips attempts of
// busy accounts, which have a running attempt.
func (l *fairQueue) next(busy map[string]bool) *ticket {
	first := -1
	for i, t := range l.waiting {
		if !busy[t.account] && (first < 0 || t.rank < l.waiting[first].rank) {
			first = i
		}
	}
	if first < 0 {
		return nil
	}
	t := l.waiting[first]
	l.minRank = max(l.minRank+1/float64(len(l.waiting)), t.rank)
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

func (l *fairQueue) forget() {
	if len(l.nextRanks) <= flowsPerAttempt*l.limit {
		return
	}
	// New attempts get at least minRank, so that entries up to minRank have no effect.
	maps.DeleteFunc(l.nextRanks, func(_ string, rank float64) bool { return rank <= l.minRank })
	// Afterwards, there is room for many new entries, so that few calls have to search the map.
	if len(l.nextRanks) > flowsPerAttempt*l.limit/2 {
		clear(l.nextRanks)
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

func (p *pool) pauseAfterFailure(took time.Duration) time.Duration {
	// With the factor 2, an attempt and its pause take three times as long as the attempt alone. A flood of wrong
	// passwords therefore uses a third of the processor time.
	pause := min(pauseFactor*took, maxPause)
	if n := p.waiting(); n > 0 {
		pause = min(pause, drainTime*time.Duration(p.places)/time.Duration(n)-took)
	}
	return max(pause, 0)
}

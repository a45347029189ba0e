// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// defaultPlaces is the default of Throttle.Places, which limits the number of concurrent attempts.
	defaultPlaces = 2
	// pauseFactor is the duration of the pause after a failed attempt, divided by the duration of the attempt.
	pauseFactor = 2
	// maxPause is the maximum duration of the pause after a failed attempt.
	maxPause = 500 * time.Millisecond
	// drainTime is the time in which the server aims to run all waiting attempts. If many attempts wait, the server
	// shortens the pauses after failed attempts.
	drainTime = 3 * time.Second
	// patience bounds the time for which an attempt waits. If the estimated time is longer, the attempt is rejected at
	// once.
	patience = 5 * time.Second
	// assumedDuration is the initial estimate of the duration of an attempt. Measured durations gradually replace it.
	assumedDuration = 100 * time.Millisecond
)

// ErrBusy is returned if too many attempts are waiting or running.
var ErrBusy = errors.New("too many attempts at once")

// BusyError matches ErrBusy in errors.Is. It also contains the time after which the client should try again.
type BusyError struct {
	// RetryAfter is the estimated time until the waiting attempts are served.
	RetryAfter time.Duration
}

// Error implements error.
func (*BusyError) Error() string { return ErrBusy.Error() }

// Is makes errors.Is return true for a BusyError and ErrBusy.
func (*BusyError) Is(target error) bool { return target == ErrBusy }

// turns limits the number of waiting and running attempts. Therefore, a flood of logins can use only a part of the
// processor time. Only one attempt of an account runs at a time.
type turns struct {
	// places is the maximum number of running attempts of each pool; zero means defaultPlaces.
	places int

	mu               sync.Mutex
	lines            [classes]fairQueue
	strangers, known pool
	busy             map[string]bool
}

// turn is a running attempt.
type turn struct {
	turns   *turns
	pool    *pool
	account string
	begun   time.Time
}

// enter waits until the attempt may run. It returns a BusyError if the queue is full, or if the estimated waiting time
// is too long (see patience). It returns another error if ctx ends first.
func (t *turns) enter(ctx context.Context, class Class, account string, flows []flow) (*turn, error) {
	p, l, waiting, err := t.join(class, account, flows)
	if err != nil {
		return nil, err
	}
	select {
	case err = <-waiting.outcome:
	case <-ctx.Done():
		if t.leave(l, waiting) {
			return nil, ctx.Err()
		}
		if err = <-waiting.outcome; err == nil { // at the same time, the attempt was allowed to run
			(&turn{turns: t, pool: p, account: account, begun: time.Now()}).end(false)
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	return &turn{turns: t, pool: p, account: account, begun: time.Now()}, nil
}

func (t *turns) join(class Class, account string, flows []flow) (*pool, *fairQueue, *ticket, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.init()
	p, l := &t.strangers, &t.lines[class]
	if class != Stranger {
		p = &t.known
	}
	rank, ahead := l.position(flows)
	wait := p.wait(ahead)
	if wait > patience {
		return nil, nil, nil, &BusyError{RetryAfter: wait - patience + time.Second}
	}
	waiting := &ticket{account: account, flows: flows, rank: rank, outcome: make(chan error, 1)}
	if refused := l.join(waiting); refused != nil {
		err := &BusyError{RetryAfter: p.wait(len(l.waiting)) + time.Second}
		if refused == waiting {
			return nil, nil, nil, err
		}
		refused.outcome <- err
	}
	t.dispatch(p)
	return p, l, waiting, nil
}

func (t *turns) init() {
	if t.busy != nil {
		return
	}
	if t.places == 0 {
		t.places = defaultPlaces
	}
	t.busy = map[string]bool{}
	t.strangers = pool{places: t.places, free: t.places, took: assumedDuration}
	t.known = t.strangers
	for class := range classes {
		l := &t.lines[class]
		l.limit = class.maxWaiting()
		if class == Stranger {
			t.strangers.lines = append(t.strangers.lines, l)
		} else {
			t.known.lines = append(t.known.lines, l)
		}
	}
}

func (t *turns) dispatch(p *pool) {
	for p.free > 0 {
		next := p.next(t.busy)
		if next == nil {
			return
		}
		p.free--
		t.busy[next.account] = true
		next.outcome <- nil
	}
}

func (t *turns) leave(l *fairQueue, waiting *ticket) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return l.leave(waiting)
}

// end ends a running attempt. If the attempt has failed, its place in the pool remains occupied until the end of a
// pause. The pause slows down a flood of wrong passwords.
func (t *turn) end(failed bool) {
	s := t.turns
	s.mu.Lock()
	defer s.mu.Unlock()
	took := time.Since(t.begun)
	t.pool.observe(took)
	delete(s.busy, t.account) // during the pause, the account may use another place
	pause := time.Duration(0)
	if failed {
		pause = t.pool.pauseAfterFailure(took)
	}
	if pause > 0 {
		time.AfterFunc(pause, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.vacate(t.pool)
		})
	} else {
		t.pool.free++
	}
	s.dispatch(&s.strangers)
	s.dispatch(&s.known)
}

func (t *turns) vacate(p *pool) {
	p.free++
	t.dispatch(p)
}

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
	// defaultPlaces is the default number of concurrent attempts of strangers, and separately of all other clients.
	defaultPlaces = 2
	// restFactor determines the time for which a place remains unused after a failed attempt, as a multiple of the
	// duration of the attempt, at most maxRest. Wrong passwords get a third of the capacity of correct ones, and less
	// on a slow machine.
	restFactor = 2
	maxRest    = 500 * time.Millisecond
	// served is the target time for serving all waiting attempts. Places remain unused for a shorter time if necessary.
	served = 3 * time.Second
	// patience bounds the wait of an attempt. An attempt that would wait longer is rejected.
	patience = 5 * time.Second
	// assumed is the estimated duration of an attempt before the first measurement.
	assumed = 100 * time.Millisecond
)

// ErrBusy is returned when too many attempts are in progress.
var ErrBusy = errors.New("too many attempts at once")

// BusyError is an ErrBusy with a time to retry.
type BusyError struct {
	// RetryAfter is the estimated time until the waiting attempts are served.
	RetryAfter time.Duration
}

// Error implements error.
func (*BusyError) Error() string { return ErrBusy.Error() }

// Is returns true for ErrBusy.
func (*BusyError) Is(target error) bool { return target == ErrBusy }

// turns bounds the waiting and the running attempts, and runs one attempt of an account at a time, so that a flood of
// logins uses a bounded share of the machine.
type turns struct {
	// places is the number of places of strangers, and separately of known clients. Zero means defaultPlaces.
	places int

	mu               sync.Mutex
	lines            [classes]fairQueue
	strangers, known pool
	busy             map[string]bool
}

// turn is the permission of an attempt to run.
type turn struct {
	turns   *turns
	pool    *pool
	account string
	begun   time.Time
}

// enter waits for a turn until the context ends. It returns a BusyError if the wait would be too long, or if other
// attempts have precedence.
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
		if err = <-waiting.outcome; err == nil { // the turn was granted at the same time
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
	start, ahead := l.place(flows)
	wait := p.wait(ahead)
	if wait > patience {
		return nil, nil, nil, &BusyError{RetryAfter: wait - patience + time.Second}
	}
	waiting := &ticket{account: account, flows: flows, start: start, outcome: make(chan error, 1)}
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
	t.strangers = pool{places: t.places, free: t.places, took: assumed}
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

// dispatch starts waiting attempts while places are free.
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

// end releases the account immediately, and the place after a pause if the attempt failed.
func (t *turn) end(failed bool) {
	s := t.turns
	s.mu.Lock()
	defer s.mu.Unlock()
	took := time.Since(t.begun)
	t.pool.observe(took)
	delete(s.busy, t.account)
	rest := time.Duration(0)
	if failed {
		rest = t.pool.restAfter(took)
	}
	if rest > 0 {
		time.AfterFunc(rest, func() {
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

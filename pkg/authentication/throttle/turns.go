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
	// defaultPlaces are how many attempts of strangers, and of all others, are under way together, where nothing else is said.
	defaultPlaces = 2
	// restFactor times as long as a failed attempt took, its place stays empty, up to maxRest: a guess gets a third of the work that a right
	// password gets, and less of it on a slow machine.
	restFactor = 2
	maxRest    = 500 * time.Millisecond
	// served is the time within which everybody who waits should be served; places rest for a shorter time to keep to it.
	served = 3 * time.Second
	// patience is the longest wait that an attempt is let in for.
	patience = 5 * time.Second
	// assumed is how long an attempt takes, before any has been seen.
	assumed = 100 * time.Millisecond
)

// ErrBusy means that too many attempts are under way.
var ErrBusy = errors.New("too many attempts at once")

// BusyError is ErrBusy with the time after which there may be room.
type BusyError struct {
	// RetryAfter is how long it takes until as many have been served as wait now.
	RetryAfter time.Duration
}

// Error implements error.
func (*BusyError) Error() string { return ErrBusy.Error() }

// Is makes it ErrBusy.
func (*BusyError) Is(target error) bool { return target == ErrBusy }

// turns lets a bounded number wait, one at a time do something about each account, and few at a time do anything, so that a flood costs
// neither this server nor the host more than a few logins do.
type turns struct {
	// places is the number of places of strangers, and of those who are known; 0 for defaultPlaces.
	places int

	mu               sync.Mutex
	lines            [classes]line
	strangers, known pool
	busy             map[string]bool
}

// turn is the time in which an attempt may work.
type turn struct {
	turns   *turns
	pool    *pool
	account string
	begun   time.Time
}

// enter waits for a turn as long as the context lasts. It is a BusyError where the wait would be too long, or others come first.
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
		if err = <-waiting.outcome; err == nil { // at the same time
			(&turn{turns: t, pool: p, account: account, begun: time.Now()}).end(false)
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	return &turn{turns: t, pool: p, account: account, begun: time.Now()}, nil
}

func (t *turns) join(class Class, account string, flows []flow) (*pool, *line, *ticket, error) {
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

// dispatch lets in as many as there are free places for.
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

func (t *turns) leave(l *line, waiting *ticket) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return l.leave(waiting)
}

// end lets the next one in: at once, or after a rest where the attempt failed. The account itself does not wait.
func (t *turn) end(failed bool) {
	s := t.turns
	s.mu.Lock()
	defer s.mu.Unlock()
	took := time.Since(t.begun)
	t.pool.observe(took)
	delete(s.busy, t.account)
	rest := time.Duration(0)
	if failed {
		rest = t.pool.rest(took)
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

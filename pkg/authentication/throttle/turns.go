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
	// maxWaiting attempts are waited for at most, and those under way. Any more are refused before anything is done for them.
	maxWaiting = 32
	// maxActive attempts are under way together: while one hashes, the other reads and writes.
	maxActive = 2
	// restFactor times as long as a failed attempt took, its place stays empty, up to maxRest: whoever guesses gets a third of what whoever
	// knows the password gets, and the less of it the slower the machine already is.
	restFactor = 2
	maxRest    = 500 * time.Millisecond
)

// ErrBusy means that too many attempts are under way.
var ErrBusy = errors.New("too many attempts at once")

// turns lets a bounded number wait, one at a time do something about each name, and few at a time do anything, so that a flood costs neither
// this server nor the host more than a few logins do.
type turns struct {
	mu      sync.Mutex
	waiting int
	active  chan struct{}
	queues  map[string]*queue
}

type queue struct {
	place chan struct{}
	users int
}

// turn is the time in which an attempt may work.
type turn struct {
	turns *turns
	name  string
	queue *queue
	begun time.Time
}

// enter waits for a turn as long as the context lasts. It is ErrBusy where too many wait.
func (t *turns) enter(ctx context.Context, name string) (*turn, error) {
	q, err := t.join(name)
	if err != nil {
		return nil, err
	}
	select {
	case q.place <- struct{}{}:
	case <-ctx.Done():
		t.quit(name, q)
		return nil, ctx.Err()
	}
	select {
	case t.active <- struct{}{}:
	case <-ctx.Done():
		<-q.place
		t.quit(name, q)
		return nil, ctx.Err()
	}
	return &turn{turns: t, name: name, queue: q, begun: time.Now()}, nil
}

// end lets the next one in: at once, or after a rest where the attempt failed. The account itself does not wait.
func (t *turn) end(failed bool) {
	<-t.queue.place
	t.turns.quit(t.name, t.queue)
	leave := func() { <-t.turns.active }
	if !failed {
		leave()
		return
	}
	time.AfterFunc(min(restFactor*time.Since(t.begun), maxRest), leave)
}

func (t *turns) join(name string) (*queue, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting >= maxWaiting+maxActive {
		return nil, ErrBusy
	}
	if t.queues == nil {
		t.queues, t.active = map[string]*queue{}, make(chan struct{}, maxActive)
	}
	q := t.queues[name]
	if q == nil {
		q = &queue{place: make(chan struct{}, 1)}
		t.queues[name] = q
	}
	q.users++
	t.waiting++
	return q, nil
}

func (t *turns) quit(name string, q *queue) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting--
	q.users--
	if q.users == 0 {
		delete(t.queues, name)
	}
}

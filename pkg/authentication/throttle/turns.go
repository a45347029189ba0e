// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"context"
	"sync"
)

// turns lets one at a time do something about each name.
type turns struct {
	mu     sync.Mutex
	queues map[string]*queue
}

type queue struct {
	place chan struct{}
	users int
}

// enter waits for a turn as long as the context lasts. The function it returns ends the turn.
func (t *turns) enter(ctx context.Context, name string) (leave func(), err error) {
	q := t.join(name)
	select {
	case q.place <- struct{}{}:
		return func() {
			<-q.place
			t.quit(name, q)
		}, nil
	case <-ctx.Done():
		t.quit(name, q)
		return nil, ctx.Err()
	}
}

func (t *turns) join(name string) *queue {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.queues == nil {
		t.queues = map[string]*queue{}
	}
	q := t.queues[name]
	if q == nil {
		q = &queue{place: make(chan struct{}, 1)}
		t.queues[name] = q
	}
	q.users++
	return q
}

func (t *turns) quit(name string, q *queue) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q.users--
	if q.users == 0 {
		delete(t.queues, name)
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package search

import (
	"context"
	"sync"
)

// turns limits the concurrent searches of clusters, in total and for each user, so that one user's searches of slow
// clusters do not occupy all places.
type turns struct {
	all   chan struct{}
	mu    sync.Mutex
	users map[string]*places
}

// places are the places of one user.
type places struct {
	taken chan struct{}
	// searches counts the searches that have a place or wait for one.
	searches int
}

func newTurns(atOnce int) *turns {
	return &turns{all: make(chan struct{}, atOnce), users: map[string]*places{}}
}

// enter waits for a place for a user. If it returns no error, the caller must call leave.
func (t *turns) enter(ctx context.Context, user string) (leave func(), err error) {
	own := t.join(user)
	if err := take(ctx, own.taken); err != nil {
		t.leave(user)
		return nil, err
	}
	if err := take(ctx, t.all); err != nil {
		<-own.taken
		t.leave(user)
		return nil, err
	}
	return func() {
		<-t.all
		<-own.taken
		t.leave(user)
	}, nil
}

func take(ctx context.Context, places chan struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *turns) join(user string) *places {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.users[user]
	if own == nil {
		own = &places{taken: make(chan struct{}, cap(t.all)/2)}
		t.users[user] = own
	}
	own.searches++
	return own
}

func (t *turns) leave(user string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.users[user]
	own.searches--
	if own.searches == 0 {
		delete(t.users, user)
	}
}

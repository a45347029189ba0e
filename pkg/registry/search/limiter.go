// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package search

import (
	"context"
	"sync"
)

// limiter bounds the number of concurrent searches of clusters, in total and for each user. A user may use half of the
// total. Otherwise, one user's searches of slow clusters could prevent the searches of other users.
type limiter struct {
	all   chan struct{}
	mu    sync.Mutex
	users map[string]*userSearches
}

// userSearches contains the searches of one user.
type userSearches struct {
	taken chan struct{}
	// searches is the number of running and waiting searches.
	searches int
}

func newLimiter(atOnce int) *limiter {
	return &limiter{all: make(chan struct{}, atOnce), users: map[string]*userSearches{}}
}

// enter waits until a new search of the user may start. The caller must call the returned function after the search.
// enter returns an error if ctx ends first.
func (t *limiter) enter(ctx context.Context, user string) (leave func(), err error) {
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

func take(ctx context.Context, slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *limiter) join(user string) *userSearches {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.users[user]
	if own == nil {
		own = &userSearches{taken: make(chan struct{}, cap(t.all)/2)}
		t.users[user] = own
	}
	own.searches++
	return own
}

func (t *limiter) leave(user string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.users[user]
	own.searches--
	if own.searches == 0 {
		delete(t.users, user)
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package userlimit bounds expensive work, in total and for each user.
package userlimit

import (
	"context"
	"sync"
)

// Limiter bounds the number of concurrent tasks, in total and for each user. A task first waits for other tasks of its
// user, and then for the tasks of all users. Therefore, a user with many waiting tasks does not delay the tasks of
// other users.
type Limiter struct {
	all     chan struct{}
	perUser int
	mu      sync.Mutex
	users   map[string]*userTasks
}

// userTasks contains the tasks of one user.
type userTasks struct {
	taken chan struct{}
	// tasks is the number of running and waiting tasks.
	tasks int
}

// New returns a Limiter. total bounds the number of all concurrent tasks, and perUser bounds the number for one user.
func New(total, perUser int) *Limiter {
	return &Limiter{all: make(chan struct{}, total), perUser: perUser, users: map[string]*userTasks{}}
}

// Enter waits until a new task of the user may start. The caller must call the returned function after the task. Enter
// returns an error if ctx ends first.
func (l *Limiter) Enter(ctx context.Context, user string) (leave func(), err error) {
	own := l.join(user)
	if err := take(ctx, own.taken); err != nil {
		l.leave(user)
		return nil, err
	}
	if err := take(ctx, l.all); err != nil {
		<-own.taken
		l.leave(user)
		return nil, err
	}
	return func() {
		<-l.all
		<-own.taken
		l.leave(user)
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

func (l *Limiter) join(user string) *userTasks {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.users[user]
	if own == nil {
		own = &userTasks{taken: make(chan struct{}, l.perUser)}
		l.users[user] = own
	}
	own.tasks++
	return own
}

func (l *Limiter) leave(user string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.users[user]
	own.tasks--
	if own.tasks == 0 {
		delete(l.users, user)
	}
}

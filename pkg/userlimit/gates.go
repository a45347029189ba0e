// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package userlimit

import (
	"context"
	"maps"
	"runtime"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// WorkRate limits the processor time of each user, as a fraction of one processor.
	WorkRate = 1.0 / 3
	// WorkBurst is the processor time that a user may use before WorkRate applies. It suffices for a list of 5,000
	// Pods.
	WorkBurst = 500 * time.Millisecond
)

// Gates limits the concurrent work of each user.
type Gates struct {
	Options

	mu    sync.Mutex
	users map[string]*Gate
}

// Options configures Gates.
type Options struct {
	// AtOnce bounds the number of tasks that run for one user at the same time.
	AtOnce int
	// Work is true if the average processor time of each user is limited (see WorkRate).
	Work bool
}

// NewGates returns Gates with the options.
func NewGates(o Options) *Gates { return &Gates{Options: o, users: map[string]*Gate{}} }

// NewWork returns Gates that limit the processor time of each user. On average, a user may use only a fraction of one
// processor (see WorkRate). For a short time, a user may use up to half of all processors concurrently.
func NewWork() *Gates {
	return NewGates(Options{AtOnce: max(1, runtime.GOMAXPROCS(0)/2), Work: true}) //nolint:mnd // half of the processors
}

// Gate limits the concurrent work of one user.
type Gate struct {
	// places is a semaphore with AtOnce places.
	places chan struct{}
	// work limits the average processor time of the user. One token is one microsecond. work is nil if the processor
	// time is not limited.
	work *rate.Limiter
	// joined is the number of calls of Join() without a later call of Leave().
	joined int
}

// isIdle returns true if the Gate has the same state as a new Gate. It can then be dropped.
func (g *Gate) isIdle() bool {
	// A Gate is kept until the user may use the whole WorkBurst again. A new Gate would allow the whole WorkBurst at
	// once.
	return g.joined == 0 && (g.work == nil || g.work.Tokens() >= float64(WorkBurst.Microseconds()))
}

// Len returns the number of users with a Gate.
func (g *Gates) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.users)
}

// Join returns the Gate of a user. The caller must call Leave when it no longer uses the Gate.
func (g *Gates) Join(user string) *Gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	u := g.users[user]
	if u == nil {
		u = g.add(user)
	}
	u.joined++
	return u
}

// add creates the Gate of a user and drops idle ones. The caller must hold the lock.
func (g *Gates) add(user string) *Gate {
	u := &Gate{places: make(chan struct{}, g.AtOnce)}
	if g.Work {
		maps.DeleteFunc(g.users, func(_ string, other *Gate) bool { return other.isIdle() })
		const perSecond rate.Limit = WorkRate * rate.Limit(time.Second/time.Microsecond)
		u.work = rate.NewLimiter(perSecond, int(WorkBurst.Microseconds()))
	}
	g.users[user] = u
	return u
}

// Leave ends the use of the Gate that Join has returned, and drops the Gate if it is no longer needed. Leave must be
// called once for each call of Join.
func (g *Gates) Leave(user string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	u := g.users[user]
	u.joined--
	if u.isIdle() {
		delete(g.users, user)
	}
}

// Do waits until the number of running tasks of the user is less than Options.AtOnce, and until the processor time of
// the user is within the limit. It then calls work(), and charges the duration of this call. If ctx ends first, Do
// returns an error and does not call work(). Nil Gates have no limit.
func (g *Gates) Do(ctx context.Context, user string, work func()) error {
	if g == nil {
		work()
		return nil
	}
	u := g.Join(user)
	defer g.Leave(user)
	select {
	case u.places <- struct{}{}:
		defer u.Exit()
	case <-ctx.Done():
		return ctx.Err() //nolint:wrapcheck // the caller knows the context
	}
	if err := u.Rest(ctx); err != nil {
		return err
	}
	begun := time.Now()
	work()
	u.Charge(time.Since(begun))
	return nil
}

// Charge adds processor time to the time that the user has used. It does not wait. Nil Gates have no limit.
func (g *Gates) Charge(user string, took time.Duration) {
	if g == nil {
		return
	}
	g.Join(user).Charge(took)
	g.Leave(user)
}

// Enter begins a task of the user. It waits until the number of running tasks of the user is less than Options.AtOnce.
// It returns false if the given duration or ctx ends first. If Enter returns true, the caller must call Exit at the end
// of the task.
func (g *Gate) Enter(ctx context.Context, wait time.Duration) bool {
	select {
	case g.places <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case g.places <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// Exit ends a task of the user. It must be called once after each call of Enter that has returned true.
func (g *Gate) Exit() { <-g.places }

// Charge adds processor time to the time that the user has used.
func (g *Gate) Charge(took time.Duration) {
	if g.work == nil {
		return
	}
	for left := int(took.Microseconds()); left > 0; left -= g.work.Burst() {
		g.work.ReserveN(time.Now(), min(left, g.work.Burst()))
	}
}

// Rest waits until the processor time of the user is within the limit. It returns an error if ctx ends first.
func (g *Gate) Rest(ctx context.Context) error {
	if g.work == nil {
		return nil
	}
	return g.work.WaitN(ctx, 0) //nolint:wrapcheck // the caller knows the context
}

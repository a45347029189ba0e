// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestTurns lets one in at a time, each account by itself, and remembers nothing of those who have left.
func TestTurns(t *testing.T) {
	var (
		turns  turns
		group  sync.WaitGroup
		inside atomic.Int32
	)
	for range maxWaiting {
		group.Go(func() {
			turn, err := turns.enter(t.Context(), "a")
			if err != nil {
				t.Error(err)
				return
			}
			if n := inside.Add(1); n != 1 {
				t.Errorf("%d at once", n)
			}
			inside.Add(-1)
			turn.end(false)
		})
	}
	group.Wait()
	if len(turns.queues) != 0 {
		t.Errorf("%d queues are left", len(turns.queues))
	}

	turn, err := turns.enter(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := turns.enter(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("where somebody else's turn does not end: %v", err)
	}
	other, err := turns.enter(ctx, "b")
	if err != nil && ctx.Err() == nil {
		t.Errorf("another account waits: %v", err)
	}
	if err == nil {
		other.end(false)
	}
	turn.end(false)
	if len(turns.queues) != 0 {
		t.Errorf("%d queues are left", len(turns.queues))
	}
}

// TestTurnsAreFew: those beyond the bound are refused at once, and two at most are let in at a time.
func TestTurnsAreFew(t *testing.T) {
	var (
		turns  turns
		inside []*turn
		group  sync.WaitGroup
	)
	for i := range maxActive {
		turn, err := turns.enter(t.Context(), strconv.Itoa(i))
		if err != nil {
			t.Fatal(err)
		}
		inside = append(inside, turn)
	}
	ctx, cancel := context.WithCancel(t.Context())
	for i := range maxWaiting {
		group.Go(func() {
			if _, err := turns.enter(ctx, "waiting-"+strconv.Itoa(i)); !errors.Is(err, context.Canceled) {
				t.Errorf("one too many was let in: %v", err)
			}
		})
	}
	for { // until all of them wait
		turns.mu.Lock()
		n := turns.waiting
		turns.mu.Unlock()
		if n == maxActive+maxWaiting {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := turns.enter(t.Context(), "one more"); !errors.Is(err, ErrBusy) {
		t.Errorf("one more than may wait: %v", err)
	}
	cancel()
	group.Wait()
	for _, turn := range inside {
		turn.end(false)
	}
	if turns.waiting != 0 || len(turns.queues) != 0 || len(turns.active) != 0 {
		t.Errorf("left behind: %d waiting, %d queues, %d active", turns.waiting, len(turns.queues), len(turns.active))
	}
}

// TestTurnsRest: the place of an attempt that failed stays empty for a while, but its account may queue again; that of any other is free at
// once.
func TestTurnsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns turns
		const took = 50 * time.Millisecond
		for _, failed := range []bool{false, true} {
			var inside []*turn
			for i := range maxActive {
				turn, err := turns.enter(t.Context(), strconv.Itoa(i))
				if err != nil {
					t.Fatal(err)
				}
				inside = append(inside, turn)
			}
			time.Sleep(took)
			for _, turn := range inside {
				turn.end(failed)
			}
			ended := time.Now()
			turn, err := turns.enter(t.Context(), "0")
			if err != nil {
				t.Fatal(err)
			}
			want := time.Duration(0)
			if failed {
				want = restFactor * took
			}
			if waited := time.Since(ended); waited != want {
				t.Errorf("where attempts failed (%t), the next waits for %s, want %s", failed, waited, want)
			}
			turn.end(false)
		}
		synctest.Wait()
		if len(turns.active) != 0 {
			t.Errorf("%d places are still taken", len(turns.active))
		}
	})
}

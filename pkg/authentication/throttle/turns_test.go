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
	"time"
)

// TestTurns lets one in at a time, each account by itself, and remembers nothing of those who have left.
func TestTurns(t *testing.T) {
	var (
		turns  turns
		group  sync.WaitGroup
		inside atomic.Int32
	)
	for range 50 {
		group.Go(func() {
			leave, err := turns.enter(t.Context(), "a")
			if err != nil {
				t.Error(err)
				return
			}
			if n := inside.Add(1); n != 1 {
				t.Errorf("%d at once", n)
			}
			inside.Add(-1)
			leave()
		})
	}
	group.Wait()
	if len(turns.queues) != 0 {
		t.Errorf("%d queues are left", len(turns.queues))
	}

	leave, err := turns.enter(t.Context(), "a")
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
		other()
	}
	leave()
	if len(turns.queues) != 0 {
		t.Errorf("%d queues are left", len(turns.queues))
	}
}

// TestTurnsAreFew: those beyond the bound are refused at once, and two at most are let in at a time.
func TestTurnsAreFew(t *testing.T) {
	var (
		turns  turns
		leaves []func()
		group  sync.WaitGroup
	)
	for i := range maxActive {
		leave, err := turns.enter(t.Context(), strconv.Itoa(i))
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leave)
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
	for _, leave := range leaves {
		leave()
	}
	if turns.waiting != 0 || len(turns.queues) != 0 || len(turns.active) != 0 {
		t.Errorf("left behind: %d waiting, %d queues, %d active", turns.waiting, len(turns.queues), len(turns.active))
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"context"
	"errors"
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

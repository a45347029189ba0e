// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package userlimit

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestDo verifies that the processor time of a user is limited in the long run, that the user's tasks run one after the
// other, and that other users do not wait.
func TestDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const task = WorkBurst / 5
		work, begun := NewGates(Options{AtOnce: 1, Work: true}), time.Now()
		var tasks sync.WaitGroup
		for range 10 {
			tasks.Go(func() { _ = work.Do(t.Context(), "greedy", func() { time.Sleep(task) }) })
		}
		tasks.Wait()
		// The tasks after the first five wait until the processor time of the earlier ones is within the limit.
		if took, want := time.Since(begun), time.Duration(float64(9*task-WorkBurst)/WorkRate)+task; took < want-task ||
			took > want+task {
			t.Errorf("10 tasks took %s, want %s", took, want)
		}
		begun = time.Now()
		if err := work.Do(t.Context(), "modest", func() {}); err != nil || time.Since(begun) > 0 {
			t.Errorf("another user waited %s: %v", time.Since(begun), err)
		}
		time.Sleep(time.Minute)
		_ = work.Do(t.Context(), "last", func() {})
		if n := work.Len(); n != 0 {
			t.Errorf("%d users are left", n)
		}
	})
}

// TestCharge verifies that charged processor time delays the next task of a user. If the context of the task ends
// during the delay, the task does not run.
func TestCharge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work := NewWork()
		work.Charge("u", 4*WorkBurst)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ran := false
		if err := work.Do(ctx, "u", func() { ran = true }); err == nil || ran {
			t.Errorf("the task ran: %v", err)
		}
		begun := time.Now()
		if err := work.Do(t.Context(), "u", func() { ran = true }); err != nil || !ran {
			t.Errorf("the task did not run: %v", err)
		}
		want := time.Duration(float64(3*WorkBurst) / WorkRate)
		if took := time.Since(begun); took < want-time.Millisecond || took > want+time.Millisecond {
			t.Errorf("the task waited %s, want %s", took, want)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		u := work.Join("full")
		for u.Enter(t.Context(), 0) {
			continue
		}
		if err := work.Do(ended, "full", func() { t.Error("the task ran") }); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want %v", err, context.Canceled)
		}
	})
}

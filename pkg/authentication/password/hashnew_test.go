// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestNewPasswordsWaitOutsideTheQueue verifies that the queue for password hashing contains at most one new password at
// a time. Other new passwords wait outside the queue, so that the passwords of logins find room in the queue. The test
// also verifies that many new passwords of one user do not delay a new password of another user.
func TestNewPasswordsWaitOutsideTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := quickHasher(t)
		if !h.slots.TryAcquire(h.size) {
			t.Fatal("a place is taken")
		}
		var mu sync.Mutex
		var order []string
		var group sync.WaitGroup
		start := func(user string) {
			group.Go(func() {
				if _, err := h.HashNew(t.Context(), user, "x"); err != nil {
					t.Errorf("a new password of %s: %v", user, err)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, user)
			})
			synctest.Wait()
		}
		for range 2 * maxWaiting {
			start("greedy")
		}
		start("modest")
		if n := len(h.waiting); n != newAtOnce {
			t.Errorf("%d new passwords take places of the queue, want %d", n, newAtOnce)
		}
		for range maxWaiting - newAtOnce {
			group.Go(func() {
				if err := h.VerifyDummy(t.Context(), "x"); !errors.Is(err, ErrMismatch) {
					t.Errorf("a login: %v", err)
				}
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := h.HashNew(ctx, "greedy", "x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("beyond the bound: got %v, want the deadline", err)
		}
		h.slots.Release(h.size)
		group.Wait()
		if i := slices.Index(order, "modest"); i < 0 || i > maxWaiting {
			t.Errorf("%d new passwords of another user came first", i)
		}
	})
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

const patience = time.Second

func newQueue() *budget.Queue {
	return budget.NewQueue(budget.QueueOptions{Total: 100, Share: 50, Waiting: 4, Patience: patience})
}

// enter enters the queue, and fails the test if the work would have to wait.
func enter(t *testing.T, q *budget.Queue, holder string, cost int64) *budget.Place {
	t.Helper()
	ended, cancel := context.WithCancel(t.Context())
	cancel() // makes Enter fail instead of waiting
	p, err := q.Enter(ended, holder, cost)
	if err != nil {
		t.Fatalf("%s does not begin: %v", holder, err)
	}
	return p
}

// waits fails the test unless work has to wait.
func waits(t *testing.T, q *budget.Queue, holder string, cost int64) {
	t.Helper()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Enter(ended, holder, cost); !errors.Is(err, context.Canceled) {
		t.Errorf("%s begins at once (%v)", holder, err)
	}
}

func TestQueueBoundsCost(t *testing.T) {
	q := newQueue()
	large := enter(t, q, "a", 500)
	waits(t, q, "a", 1)
	other := enter(t, q, "b", 50)
	waits(t, q, "c", 1) // no cost remains
	other.Leave()
	large.Leave()
	large.Leave()
	first := enter(t, q, "a", 30)
	waits(t, q, "a", 30)
	enter(t, q, "a", 20)
	enter(t, q, "b", 50)
	waits(t, q, "c", 1)
	first.Leave()
	first.Grow(100)
	grown := enter(t, q, "a", 10)
	grown.Grow(100) // exceeds the expected cost
	waits(t, q, "a", 1)
	grown.Leave()
	enter(t, q, "a", 30)
	waits(t, q, "c", 1)
}

func TestQueueIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		enter(t, q, "a", 50)
		var group sync.WaitGroup
		begun := time.Now()
		for range 4 {
			group.Go(func() {
				if _, err := q.Enter(t.Context(), "a", 10); !errors.Is(err, budget.ErrExceeded) {
					t.Errorf("work that waits ends with %v", err)
				}
			})
		}
		synctest.Wait()
		if _, err := q.Enter(t.Context(), "a", 10); !errors.Is(err, budget.ErrExceeded) || time.Since(begun) > 0 {
			t.Errorf("too much work waits: %v", err)
		}
		enter(t, q, "b", 50)
		group.Wait()
		if took := time.Since(begun); took != patience {
			t.Errorf("the work has waited for %s", took)
		}
	})
}

// TestQueueTakesTurns verifies that a Queue alternates between users whose work is waiting.
func TestQueueTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := budget.NewQueue(budget.QueueOptions{Total: 50, Share: 50, Waiting: 4, Patience: patience})
		full := enter(t, q, "other", 50)
		var mu sync.Mutex
		var order []string
		var group sync.WaitGroup
		for _, holder := range []string{"greedy", "greedy", "greedy", "modest"} {
			group.Go(func() {
				p, err := q.Enter(t.Context(), holder, 100)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, holder)
				mu.Unlock()
				p.Leave()
			})
			synctest.Wait()
		}
		full.Leave()
		group.Wait()
		if i := slices.Index(order, "modest"); i != 1 {
			t.Errorf("the order was %v", order)
		}
	})
}

func TestNilQueue(t *testing.T) {
	p, err := (*budget.Queue)(nil).Enter(t.Context(), "a", 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	p.Grow(1)
	p.Leave()
}

// TestQueueUnderLoad verifies that the limits apply to concurrent work, and that all work ends.
func TestQueueUnderLoad(t *testing.T) {
	q := budget.NewQueue(budget.QueueOptions{Total: 100, Share: 50, Waiting: 100, Patience: time.Minute})
	var used atomic.Int64
	var group sync.WaitGroup
	for i := range 32 {
		group.Go(func() {
			for n := range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				if n%7 == 0 {
					cancel()
				}
				cost := int64(n%40 + 1)
				p, err := q.Enter(ctx, strconv.Itoa(i%5), cost)
				if err == nil {
					if used.Add(cost) > 100 {
						t.Error("the total is exceeded")
					}
					used.Add(-cost)
					p.Leave()
				}
				cancel()
			}
		})
	}
	group.Wait()
	enter(t, q, "0", 50)
	enter(t, q, "1", 50)
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"testing"
	"time"
)

const (
	// soon bounds the time until a controller has reacted to a change, even on a busy machine.
	soon       = 20 * time.Second
	repairTime = 5 * time.Second
	// collection bounds the time of the garbage collection of Kubernetes, which discovers new kinds only periodically.
	collection = 90 * time.Second
	// settling is the time without writes before a test measures the effect of one change.
	settling = time.Second
	// lease bounds the wait for a new leader after the previous leader was killed.
	lease = 45 * time.Second
)

// poll calls check until check returns no error. After the timeout, poll returns the last error of check. An error that
// is only an effect of the timeout is ignored.
func poll(ctx context.Context, timeout time.Duration, what string, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: gave up after %s: %w", what, timeout, last)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func eventually(tb testing.TB, timeout time.Duration, what string, check func(context.Context) error) {
	tb.Helper()
	if err := poll(tb.Context(), timeout, what, check); err != nil {
		tb.Fatal(err)
	}
}

func holds(tb testing.TB, duration time.Duration, what string, check func(context.Context) error) {
	tb.Helper()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	end := time.Now().Add(duration)
	for time.Now().Before(end) {
		if err := check(tb.Context()); err != nil {
			tb.Fatalf("%s: %v", what, err)
		}
		select {
		case <-tb.Context().Done():
			tb.Fatalf("%s: %v", what, tb.Context().Err())
		case <-ticker.C:
		}
	}
}

// later returns a context for cleanup functions. When a cleanup function runs, the context of the test is already
// cancelled.
func later(tb testing.TB) (context.Context, context.CancelFunc) {
	tb.Helper()
	return context.WithTimeout(context.WithoutCancel(tb.Context()), time.Minute)
}

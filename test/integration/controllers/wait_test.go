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
	// soon bounds what a controller does as soon as it sees a change, on a machine that it shares.
	soon = 20 * time.Second
	// repairTime is how long what somebody has changed by hand may stay so.
	repairTime = 5 * time.Second
	// collection bounds the garbage collection of Kubernetes, which learns of new kinds only now and then.
	collection = 90 * time.Second
	// settling is how long nothing must happen before a test looks at what one change alone brings about.
	settling = time.Second
	// lease bounds the wait for a leader that follows one which was killed.
	lease = 45 * time.Second
)

// poll asks check until it gives no error. Its own error is the last one of check that is not the end of the time.
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

// eventually waits until check gives no error, and fails with its last one.
func eventually(tb testing.TB, timeout time.Duration, what string, check func(context.Context) error) {
	tb.Helper()
	if err := poll(tb.Context(), timeout, what, check); err != nil {
		tb.Fatal(err)
	}
}

// holds fails as soon as check gives an error within the time.
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

// later is a context for what is done after a test, whose own context has ended by then.
func later(tb testing.TB) (context.Context, context.CancelFunc) {
	tb.Helper()
	return context.WithTimeout(context.WithoutCancel(tb.Context()), time.Minute)
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fanout runs several parts of one request concurrently.
package fanout

import (
	"context"
	"fmt"
	"runtime/debug"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"
)

// Each calls fn for each i from 0 to count-1, with at most limit concurrent calls. A negative limit means no limit.
// After the first error, Each cancels the context of the other calls. It waits until all calls have returned, and
// returns the first error. It converts a panic of fn to an error, because a panic in a goroutine would end the process.
func Each(ctx context.Context, count, limit int, fn func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(limit)
	for i := range count {
		group.Go(func() error { return Safely(ctx, func() error { return fn(ctx, i) }) })
	}
	return group.Wait() //nolint:wrapcheck // it is an error of fn
}

// Safely calls f and returns the error of f. It converts a panic of f to an error, and logs the stack.
func Safely(ctx context.Context, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			klog.FromContext(ctx).Error(nil, "Observed a panic", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

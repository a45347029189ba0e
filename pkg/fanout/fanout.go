// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fanout runs several tasks of one request concurrently.
package fanout

import (
	"context"
	"fmt"
	"runtime/debug"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"
)

// Each calls do for each of count items, for at most limit items concurrently, or for all if limit is negative. The
// first error cancels the context of the others, and is returned when all have ended. A panic becomes an error, as in
// Safely, because a panic in a goroutine would end the program.
func Each(ctx context.Context, count, limit int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(limit)
	for i := range count {
		group.Go(func() error { return Safely(ctx, func() error { return do(ctx, i) }) })
	}
	return group.Wait() //nolint:wrapcheck // it is an error of do
}

// Safely calls do. It converts a panic to an error, and logs the stack.
func Safely(ctx context.Context, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			klog.FromContext(ctx).Error(nil, "Observed a panic", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return do()
}

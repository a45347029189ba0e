// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fanout does several things at once for one request.
package fanout

import (
	"context"
	"fmt"
	"runtime/debug"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"
)

// Each does something for each of a number of items, for at most limit of them at once, or for all where it is negative. The first error ends
// the context of the others, and is returned when all have ended. So is a panic, as Safely does: nothing else would keep one in a goroutine from
// ending the whole program.
func Each(ctx context.Context, count, limit int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(limit)
	for i := range count {
		group.Go(func() error { return Safely(ctx, func() error { return do(ctx, i) }) })
	}
	return group.Wait() //nolint:wrapcheck // it is the caller's own
}

// Safely makes an error of a panic, and logs where it was.
func Safely(ctx context.Context, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			klog.FromContext(ctx).Error(nil, "Observed a panic", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return do()
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"
)

// awaitQuiet waits until KubeVision has written nothing for two seconds. It returns the total number of writes for each
// verb and resource.
func awaitQuiet(tb testing.TB) map[string]float64 {
	tb.Helper()
	before := writes(tb)
	eventually(tb, time.Minute, "wait until there are no writes", func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Second):
		}
		after := writes(tb)
		if !maps.Equal(before, after) {
			before = after
			return errors.New("something was")
		}
		return nil
	})
	return before
}

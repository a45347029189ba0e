// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package fanout

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
)

func TestEach(t *testing.T) {
	const count, limit = 50, 3
	var now, tooMany, done atomic.Int64
	err := Each(t.Context(), count, limit, func(context.Context, int) error {
		defer now.Add(-1)
		if n := now.Add(1); n > limit {
			tooMany.Store(n)
		}
		done.Add(1)
		return nil
	})
	if err != nil || done.Load() != count || tooMany.Load() > 0 {
		t.Errorf("%d of %d were done, %d at once with a limit of %d: %v", done.Load(), count, tooMany.Load(),
			limit, err)
	}
}

func TestAnErrorEndsTheOthers(t *testing.T) {
	wrong := errors.New("wrong")
	err := Each(t.Context(), 2, 2, func(ctx context.Context, i int) error {
		if i == 0 {
			return wrong
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, wrong) {
		t.Errorf("the error is %v, want the first", err)
	}
}

func TestAPanicIsAnError(t *testing.T) {
	var ended atomic.Bool
	err := Each(t.Context(), 2, 2, func(ctx context.Context, i int) error {
		if i == 0 {
			panic("out of order")
		}
		<-ctx.Done()
		ended.Store(true)
		return nil
	})
	if err == nil || !ended.Load() {
		t.Errorf("error %v, the others have ended: %t", err, ended.Load())
	}
}

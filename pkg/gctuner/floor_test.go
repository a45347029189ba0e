// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package gctuner

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestPercent(t *testing.T) {
	for _, tc := range []struct{ live, bytes, least, want uint64 }{
		{0, 100, 50, 50},
		{10, 100, 50, 900},
		{50, 100, 50, 100},
		{66, 100, 50, 51},
		{80, 100, 50, 50},
		{100, 100, 50, 50},
		{200, 100, 75, 75},
	} {
		if got := percent(tc.live, tc.bytes, tc.least); got != tc.want {
			t.Errorf("percent(%d, %d, %d) = %d, want %d", tc.live, tc.bytes, tc.least, got, tc.want)
		}
	}
}

// TestKeepFloor verifies that KeepFloor raises the GOGC percentage while the heap is small. When the context ends,
// KeepFloor must restore the percentage.
func TestKeepFloor(t *testing.T) {
	before := debug.SetGCPercent(50)
	defer debug.SetGCPercent(before)
	current := func() uint64 {
		sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	runtime.GC() // measures the live memory
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		KeepFloor(ctx, 1<<30)
	}()
	for begun := time.Now(); current() == 50; time.Sleep(time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatal("the percentage is not raised")
		}
	}
	cancel()
	<-ended
	if got := current(); got != 50 {
		t.Errorf("the percentage is %d in the end", got)
	}
}

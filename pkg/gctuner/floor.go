// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gctuner sets a minimum size of the heap below which the garbage collector does not run.
package gctuner

import (
	"context"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// interval is the time between two measurements of the heap. Meanwhile, a growing heap may exceed its goal.
const interval = time.Second

// KeepFloor sets the percentage of the garbage collector until the context ends, so that a collection begins only when
// the heap has reached a number of bytes. GOGC applies to a larger heap. Without a floor, a program with little live
// memory would be collected after every few large buffers, such as those of password hashes, and requests would wait
// for the collector.
func KeepFloor(ctx context.Context, bytes uint64) {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	least := sample[0].Value.Uint64()
	if least > math.MaxInt32 { // GOGC=off
		return
	}
	set := func(percent uint64) { debug.SetGCPercent(int(min(percent, math.MaxInt32))) }
	defer set(least)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for last := least; ; {
		metrics.Read(sample)
		if next := percent(sample[1].Value.Uint64(), bytes, least); next != last {
			set(next)
			last = next
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// percent returns the percentage with which a heap grows to a number of bytes, and at least the given percentage.
func percent(live, bytes, least uint64) uint64 {
	if live == 0 || live >= bytes {
		return least
	}
	return max((bytes-live)*100/live, least) //nolint:mnd // percent
}

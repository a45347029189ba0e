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

// interval is the time between two adjustments of the GOGC percentage to the size of the live heap.
const interval = time.Second

// KeepFloor prevents garbage collections while the heap is smaller than the given number of bytes. For this purpose, it
// adjusts the GOGC percentage until the context ends. For a larger heap, the initial GOGC percentage applies. Without
// KeepFloor, a program with little live memory would run a collection after every few large buffers, for example
// buffers for password hashes. Requests would then wait for the collector. KeepFloor does nothing if GOGC is off.
func KeepFloor(ctx context.Context, bytes uint64) {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	least := sample[0].Value.Uint64()
	if least > math.MaxInt32 { // GOGC=off
		return
	}
	set := func(percent uint64) { debug.SetGCPercent(int(min(percent, math.MaxInt32))) }
	defer set(least)
	// While the live heap grows, the percentage is too large until the next adjustment, which delays the collector.
	// Therefore, the interval is short.
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

// percent returns the GOGC percentage that lets the heap grow from live to target bytes before the next garbage
// collection. It returns at least minimum.
func percent(live, target, minimum uint64) uint64 {
	if live == 0 || live >= target {
		return minimum
	}
	return max((target-live)*100/live, minimum) //nolint:mnd // percent
}

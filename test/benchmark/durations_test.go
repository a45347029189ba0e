// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"math"
	"slices"
	"testing"
	"time"
)

const (
	median = 0.5
	tail   = 0.99
)

// durations are how long requests took, in no order.
type durations []time.Duration

// quantile is the duration that a share q, above 0 and up to 1, of all did not exceed.
func (d durations) quantile(q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(d))
	return sorted[int(math.Ceil(q*float64(len(sorted))))-1]
}

// compare reports a quantile of two series in milliseconds, and how many times the second the first is.
func compare(b *testing.B, q float64, name string, d durations, baseName string, base durations) {
	b.Helper()
	suffix := map[float64]string{median: "p50", tail: "p99"}[q]
	b.ReportMetric(milliseconds(d.quantile(q)), name+"-"+suffix+"-ms")
	b.ReportMetric(milliseconds(base.quantile(q)), baseName+"-"+suffix+"-ms")
	b.ReportMetric(float64(d.quantile(q))/float64(base.quantile(q)), suffix+"-ratio")
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

type durations []time.Duration

func timed(do func()) time.Duration {
	begun := time.Now()
	do()
	return time.Since(begun)
}

func (d durations) percentile(p int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(d))
	return sorted[(p*len(sorted)+99)/100-1] // the nearest rank
}

func compare(b *testing.B, p int, name string, d durations, baseName string, base durations) {
	b.Helper()
	b.ReportMetric(milliseconds(d.percentile(p)), fmt.Sprintf("%s-p%d-ms", name, p))
	b.ReportMetric(milliseconds(base.percentile(p)), fmt.Sprintf("%s-p%d-ms", baseName, p))
	b.ReportMetric(float64(d.percentile(p))/float64(base.percentile(p)), fmt.Sprintf("p%d-ratio", p))
}

func compareMedians(b *testing.B, name string, d durations, baseName string, base durations) {
	b.Helper()
	// By default, ns/op would also contain the durations in base, because the same loop measures them.
	b.ReportMetric(float64(d.percentile(50)), "ns/op")
	compare(b, 50, name, d, baseName, base)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

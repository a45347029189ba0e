// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"testing"

	"github.com/kubevision-io/kubevision/hack/localcluster"
)

// memory is what a process has in RAM, in MiB.
type memory struct {
	// resident is what it has now.
	resident float64
	// peak is the most that it had since the peak was last forgotten.
	peak float64
}

func readMemory(b *testing.B, pid int) memory {
	b.Helper()
	read, err := localcluster.ReadMemory(pid)
	if err != nil {
		b.Fatal(err)
	}
	const mebibyte = 1 << 20
	return memory{resident: float64(read.Resident) / mebibyte, peak: float64(read.Peak) / mebibyte}
}

// forgetPeak makes a peak of what the process has now: the start took more.
func forgetPeak(b *testing.B, pid int) {
	b.Helper()
	if err := localcluster.ForgetPeak(pid); err != nil {
		b.Fatal(err)
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"testing"

	"github.com/kubevision-io/kubevision/hack/localcluster"
)

// memory is the physical memory of a process, in MiB.
type memory struct {
	resident float64
	// peak is the maximum since the last reset.
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

// forgetPeak resets the recorded peak memory of a process, so that the peak does not include the start of the process.
func forgetPeak(b *testing.B, pid int) {
	b.Helper()
	if err := localcluster.ForgetPeak(pid); err != nil {
		b.Fatal(err)
	}
}

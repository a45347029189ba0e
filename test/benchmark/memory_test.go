// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// memory is what a process has in RAM, in MiB.
type memory struct {
	// resident is VmRSS, what it has now.
	resident float64
	// peak is VmHWM, the most that it had since the peak was last forgotten.
	peak float64
}

// readMemory asks Linux about a process.
func readMemory(b *testing.B, pid int) memory {
	b.Helper()
	text, err := os.ReadFile(processFile(pid, "status"))
	if err != nil {
		b.Fatalf("reading the memory of process %d: %v", pid, err)
	}
	out := memory{}
	for name, into := range map[string]*float64{"VmRSS": &out.resident, "VmHWM": &out.peak} {
		_, rest, _ := strings.Cut(string(text), "\n"+name+":")
		line, _, _ := strings.Cut(rest, "\n")
		kibibytes, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(line, "kB")), 64)
		if err != nil {
			b.Fatalf("reading %s of process %d: %v", name, pid, err)
		}
		*into = kibibytes / 1024
	}
	return out
}

// forgetPeak makes a peak of what the process has now: the start took more.
func forgetPeak(b *testing.B, pid int) {
	b.Helper()
	const resetPeak = "5" // proc(5)
	if err := os.WriteFile(processFile(pid, "clear_refs"), []byte(resetPeak), 0); err != nil {
		b.Fatalf("forgetting the memory peak of process %d: %v", pid, err)
	}
}

func processFile(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }

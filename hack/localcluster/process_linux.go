// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// childAttributes puts a child into its own process group. Ctrl-C then reaches only the parent, which stops its
// children in order. The kernel kills the child when the thread that started it exits, so no child outlives the parent.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// limitMemory limits the private memory of a process. A Go program that exceeds the limit exits. The limit is slightly
// stricter than in a container, because it includes memory that the program has returned to the kernel.
func limitMemory(pid int, bytes uint64) error {
	limit := &unix.Rlimit{Cur: bytes, Max: bytes}
	if err := unix.Prlimit(pid, unix.RLIMIT_DATA, limit, nil); err != nil {
		return fmt.Errorf("limit the memory of process %d: %w", pid, err)
	}
	return nil
}

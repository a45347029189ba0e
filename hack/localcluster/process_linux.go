// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// childAttributes puts a child in a process group of its own, so that Ctrl-C
// reaches only the supervisor, and ties its life to the supervisor's: the
// kernel kills it when the thread that started it ends.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// limitMemory lets a process have so many bytes of memory of its own. A Go
// program that asks for more ends. What it has given back to the kernel counts
// too, so that it has a little less than in a container.
func limitMemory(pid int, bytes uint64) error {
	limit := &unix.Rlimit{Cur: bytes, Max: bytes}
	if err := unix.Prlimit(pid, unix.RLIMIT_DATA, limit, nil); err != nil {
		return fmt.Errorf("limit the memory of process %d: %w", pid, err)
	}
	return nil
}

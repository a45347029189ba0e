// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package localcluster

import (
	"errors"
	"syscall"
)

// childAttributes puts a child in a process group of its own, so that Ctrl-C
// reaches only the supervisor.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// limitMemory would limit the memory of a process.
func limitMemory(int, uint64) error { return errors.New("memory can be limited on Linux only") }

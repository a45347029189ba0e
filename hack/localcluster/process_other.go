// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package localcluster

import (
	"errors"
	"syscall"
)

// childAttributes puts a child into its own process group. Ctrl-C then reaches only the parent, which stops its
// children in order.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// limitMemory is not supported on this system.
func limitMemory(int, uint64) error { return errors.New("memory can be limited on Linux only") }

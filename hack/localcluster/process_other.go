// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package localcluster

import (
	"errors"
	"syscall"
)

// childAttributes puts a child into its own process group, so that Ctrl-C reaches only the supervisor.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// limitMemory is not supported on this system.
func limitMemory(int, uint64) error { return errors.New("memory can be limited on Linux only") }

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package localcluster

import "syscall"

// childAttributes puts a child in a process group of its own, so that Ctrl-C
// reaches only the supervisor.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

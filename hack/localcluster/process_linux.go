// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import "syscall"

// childAttributes puts a child in a process group of its own, so that Ctrl-C
// reaches only the supervisor, and ties its life to the supervisor's: the
// kernel kills it when the thread that started it ends.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

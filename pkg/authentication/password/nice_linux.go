// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

const (
	maxNice = 19
	// rawPriority minus the nice value is the result of the system call getpriority(2).
	rawPriority = 20
)

// startNice starts a command whose nice value is higher than that of this process by an increment.
func startNice(cmd *exec.Cmd, increment int) error {
	started := make(chan error, 1)
	go startOnThread(cmd, increment, started)
	if err := <-started; err != nil {
		return fmt.Errorf("starting %s with a low priority: %w", cmd.Path, err)
	}
	return nil
}

// startOnThread starts a command with the nice value of a thread, which the child inherits. The thread ends with the
// goroutine, because the goroutine does not unlock it: an unprivileged thread could not restore its nice value. The
// main thread does not end, so the function keeps the main thread busy and uses another one.
func startOnThread(cmd *exec.Cmd, increment int, started chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		other := make(chan error)
		go startOnThread(cmd, increment, other)
		started <- <-other
		runtime.UnlockOSThread()
		return
	}
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err == nil {
		err = unix.Setpriority(unix.PRIO_PROCESS, 0, min(rawPriority-raw+increment, maxNice))
	}
	if err == nil {
		err = cmd.Start()
	}
	started <- err
}

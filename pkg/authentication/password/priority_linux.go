// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	maxNice = 19
	// rawPriority is the result of the system call getpriority(2) for the nice value 0. The result for another nice
	// value is rawPriority minus this value.
	rawPriority = 20
	// maxOOMScore makes the kernel kill this process first if the container has no memory left.
	maxOOMScore = "1000"
)

// lowerPriority adds the increment to the nice value of all threads. New threads inherit the value. lowerPriority also
// raises the OOM score of this process, so that the kernel kills it before the other processes of the container.
func lowerPriority(increment int) error {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, os.Getpid())
	if err != nil {
		return fmt.Errorf("reading the nice value: %w", err)
	}
	nice := min(rawPriority-raw+increment, maxNice)
	for changed := true; changed; { // meanwhile, a thread with the old value may start another thread
		changed = false
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("listing the threads: %w", err)
		}
		for _, task := range tasks {
			id, err := strconv.Atoi(task.Name())
			if err != nil {
				return fmt.Errorf("reading the id of a thread: %w", err)
			}
			if raw, err := unix.Getpriority(unix.PRIO_PROCESS, id); err != nil || rawPriority-raw == nice {
				continue // the thread has ended, or has the value
			}
			if err := unix.Setpriority(unix.PRIO_PROCESS, id, nice); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("setting the nice value: %w", err)
			}
			changed = true
		}
	}
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte(maxOOMScore), 0); err != nil {
		return fmt.Errorf("setting the OOM score: %w", err)
	}
	return nil
}

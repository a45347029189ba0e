// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/kubevision-io/kubevision/hack/localcluster"
)

const stopTimeout = 90 * time.Second

// stop ends the process that "make run" has started. If no such process runs, stop removes the process ID and the
// credentials of an earlier process from the state folder.
func stop(ctx context.Context, files state, out io.Writer) error {
	release, err := files.lock()
	if err == nil {
		if err := errors.Join(files.clear(), release()); err != nil {
			return err
		}
		return tell(out, "nothing runs")
	}
	if !errors.Is(err, errRunning) {
		return err
	}
	pid, err := files.pid()
	if err != nil {
		return err
	}
	if err := tell(out, fmt.Sprintf("stopping process %d ...", pid)); err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop process %d: %w", pid, err)
	}
	if err := waitReleased(ctx, files); err != nil {
		return fmt.Errorf("process %d does not stop: %w; see %s, and end it with: kill -9 %d", pid, err,
			files.path(logFile), pid)
	}
	return tell(out, "stopped")
}

// waitReleased waits until the state folder is unlocked.
func waitReleased(ctx context.Context, files state) error {
	return localcluster.Poll(ctx, stopTimeout, "wait for its end", func(context.Context) error {
		release, err := files.lock()
		if errors.Is(err, errRunning) {
			return errors.New("it still runs")
		}
		if err != nil {
			return err
		}
		return release()
	})
}

func tell(out io.Writer, line string) error {
	if _, err := fmt.Fprintln(out, line); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

const (
	// detachTimeout is the maximum time that the background process may take to become ready. The process may first
	// have to build Kubernetes and KubeVision.
	detachTimeout  = 90 * time.Minute
	followInterval = 200 * time.Millisecond
)

// detach starts this program again as a child with its own session. It shows the output of the child until the child is
// ready or has failed.
func detach(ctx context.Context, root string, files state, wanted settings, out io.Writer) error {
	release, err := files.lock()
	if err != nil {
		return err
	}
	// The child acquires the lock itself. The files of an earlier run must be removed before this process looks for
	// those of the child.
	if err := errors.Join(files.clear(), release()); err != nil {
		return err
	}
	log, err := os.OpenFile(files.path(logFile), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("create the log: %w", err)
	}
	defer func() { _ = log.Close() }()
	child, err := startDetached(ctx, root, wanted, log)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	return follow(ctx, files, child.Process, ended, out)
}

func startDetached(ctx context.Context, root string, wanted settings, log *os.File) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	// The child must outlive the context, which ends with this process.
	//nolint:gosec // it is this program
	child := exec.CommandContext(context.WithoutCancel(ctx), self, foregroundArgs(wanted)...)
	child.Dir = root
	child.Stdout, child.Stderr = log, log
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		return nil, fmt.Errorf("start in the background: %w", err)
	}
	return child, nil
}

// foregroundArgs returns the command line for the same run in the foreground.
func foregroundArgs(wanted settings) []string {
	args := []string{
		"--port=" + strconv.Itoa(wanted.port), "--kube-port=" + strconv.Itoa(wanted.kubePort),
		"--member-port=" + strconv.Itoa(wanted.memberPort), "--nodes=" + strconv.Itoa(wanted.nodes),
	}
	if wanted.fresh {
		args = append(args, "--fresh")
	}
	if wanted.member {
		args = append(args, "--member")
	}
	if wanted.dashboardDir != "" {
		args = append(args, "--dashboard-dir="+wanted.dashboardDir)
	}
	return args
}

// follow copies the child's log until the child is ready or has exited.
func follow(ctx context.Context, files state, child *os.Process, ended <-chan error, out io.Writer) error {
	log, err := os.Open(files.path(logFile))
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	defer func() { _ = log.Close() }()
	ctx, cancel := context.WithTimeout(ctx, detachTimeout)
	defer cancel()
	ticker := time.NewTicker(followInterval)
	defer ticker.Stop()
	for {
		// The check precedes the copy. The copy then includes everything that the child printed before it was ready.
		_, notReady := os.Stat(files.path(endpointFile))
		if _, err := io.Copy(out, log); err != nil {
			return fmt.Errorf("show the log: %w", err)
		}
		if notReady == nil {
			return nil
		}
		select {
		case err := <-ended:
			_, copyErr := io.Copy(out, log)
			return errors.Join(fmt.Errorf("it did not start (%w); the log is %s", exitOf(err), files.path(logFile)),
				copyErr)
		case <-ctx.Done():
			return errors.Join(errors.New("gave up waiting"), child.Signal(syscall.SIGTERM),
				waitReleased(context.WithoutCancel(ctx), files))
		case <-ticker.C:
		}
	}
}

func exitOf(err error) error {
	if err == nil {
		return errors.New("it was stopped")
	}
	return err
}

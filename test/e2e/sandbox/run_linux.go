// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

// Inside returns true in the program that Run has started.
func Inside() bool { return os.Getpid() == 1 && os.Getenv(marker) != "" }

// Run runs this program again, with the same arguments, as the first process of a sandbox, and returns its exit code.
// If the calling process exits, the kernel ends the first process of the sandbox, and then all other processes of the
// sandbox. An interrupt ends the sandbox at once.
func Run(ctx context.Context, env ...string) (int, error) {
	if os.Geteuid() != 0 {
		return 0, errors.New("only root can make a network and mounts of its own")
	}
	if err := errors.Join(removeCgroups(), makeCgroups()); err != nil {
		return 0, err
	}
	// Linux ends the child when the thread that started it ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...) //nolint:gosec // this program
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), append(env, marker+"=yes")...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS |
			syscall.CLONE_NEWIPC,
		Pdeathsig: syscall.SIGKILL,
		Setpgid:   true,
	}
	err := cmd.Run()
	if cleanErr := removeCgroups(); cleanErr != nil {
		return 0, errors.Join(err, cleanErr)
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return 0, fmt.Errorf("the run was interrupted: %w", ctx.Err())
	case errors.As(err, &exit):
		return exit.ExitCode(), nil
	case err != nil:
		return 0, fmt.Errorf("run in a sandbox: %w", err)
	default:
		return 0, nil
	}
}

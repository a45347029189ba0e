// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Program is a child process, which can be stopped and started again.
type Program struct {
	name string
	path string
	args []string
	// extra holds the arguments of the last call of RestartWith. Each start appends them to args.
	extra   []string
	logFile string
	// env contains additional environment variables.
	env []string
	// memory is the limit of the process; the zero value is unlimited.
	memory MemoryLimit
	// ready is called after a start until it returns no error.
	ready func(context.Context) error
	// startTimeout and stopTimeout bound the waits for the start and the exit.
	startTimeout time.Duration
	stopTimeout  time.Duration
	// onExit is called if the process exits by itself, without a call of Stop or Kill.
	onExit func(*ExitError)

	mu  sync.Mutex
	run *run
}

// run is one process of a program, from its start to its exit.
type run struct {
	cmd     *exec.Cmd
	done    chan struct{}
	ordered bool
}

// Name returns the name of the program's binary.
func (p *Program) Name() string { return p.name }

// LogFile returns the file to which the program's output is written.
func (p *Program) LogFile() string { return p.logFile }

// PID returns the process id, or 0 if the program does not run.
func (p *Program) PID() int {
	if current := p.current(); current != nil {
		return current.cmd.Process.Pid
	}
	return 0
}

// Start starts the program and waits until it is ready.
func (p *Program) Start(ctx context.Context) error {
	if p.current() != nil {
		return fmt.Errorf("%s runs already", p.name)
	}
	started, err := p.launch(ctx)
	if err != nil {
		return err
	}
	if err := p.awaitRun(ctx, started, p.startTimeout, "wait for "+p.name, p.ready); err != nil {
		return errors.Join(err, p.Kill())
	}
	return nil
}

// Restart stops the program gracefully, starts it again and waits until it is ready.
func (p *Program) Restart(ctx context.Context) error {
	if err := p.Stop(); err != nil {
		return err
	}
	return p.Start(ctx)
}

// RestartWith restarts the program with the extra arguments at the end of the command line. They override earlier flags
// of the same name. The next call of RestartWith replaces these arguments.
func (p *Program) RestartWith(ctx context.Context, extra ...string) error {
	if err := p.Stop(); err != nil {
		return err
	}
	p.extra = extra
	return p.Start(ctx)
}

// Stop sends SIGTERM, and SIGKILL if the process does not exit in time. It returns no error for a program that does
// not run.
func (p *Program) Stop() error { return p.end(syscall.SIGTERM) }

// Kill ends the process with SIGKILL. It returns no error for a program that does not run.
func (p *Program) Kill() error { return p.end(syscall.SIGKILL) }

func (p *Program) end(signal syscall.Signal) error {
	current := p.order()
	if current == nil {
		return nil
	}
	if err := current.signal(signal); err != nil {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	if current.waitDone(p.stopTimeout) {
		return nil
	}
	if err := current.signal(syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	if !current.waitDone(p.stopTimeout) {
		return fmt.Errorf("%s (process %d) does not end, even after SIGKILL", p.name, current.cmd.Process.Pid)
	}
	return nil
}

// current returns the current run, or nil if the process has exited.
func (p *Program) current() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run
}

// order marks the exit of the current run as expected, and returns the run.
func (p *Program) order() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run != nil {
		p.run.ordered = true
	}
	return p.run
}

func (p *Program) launch(ctx context.Context) (*run, error) {
	log, err := os.OpenFile(p.logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", p.name, err)
	}
	// The context bounds the start only: the process must outlive it.
	args := slices.Concat(p.args, p.extra)
	cmd := exec.CommandContext(context.WithoutCancel(ctx), p.path, args...) //nolint:gosec // the caller's program
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), p.env...)
	cmd.SysProcAttr = childAttributes()
	started := &run{cmd: cmd, done: make(chan struct{})}
	result := make(chan error)
	go p.supervise(started, log, result)
	if err := <-result; err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	return started, nil
}

// supervise starts the process and waits for the process on the same OS thread. On Linux, the kernel kills the process
// when this thread exits, because the process was started with Pdeathsig.
func (p *Program) supervise(started *run, log *os.File, result chan<- error) {
	runtime.LockOSThread() // otherwise, the Go runtime may end the thread before the process exits
	defer runtime.UnlockOSThread()
	err := started.cmd.Start()
	if err == nil && p.memory.Bytes > 0 {
		if err = limitMemory(started.cmd.Process.Pid, p.memory.Bytes); err != nil {
			err = errors.Join(err, started.cmd.Process.Kill(), started.cmd.Wait())
		}
	}
	if err != nil {
		result <- errors.Join(err, log.Close())
		return
	}
	p.mu.Lock()
	p.run = started
	p.mu.Unlock()
	result <- nil

	waitErr := errors.Join(started.cmd.Wait(), log.Close())
	p.mu.Lock()
	p.run = nil
	ordered := started.ordered
	p.mu.Unlock()
	close(started.done)
	if !ordered && p.onExit != nil {
		p.onExit(p.exitError(waitErr))
	}
}

// ExitError describes the exit of a program that exited by itself, without a call of Stop or Kill.
type ExitError struct {
	// Program is the program that has exited.
	Program *Program
	// Status is the exit status.
	Status string
	logEnd string
}

// Error returns the exit status and the end of the log.
func (e *ExitError) Error() string {
	return fmt.Sprintf("%s ended by itself (%s); the end of %s:\n%s", e.Program.name, e.Status, e.Program.logFile,
		e.logEnd)
}

func (p *Program) exitError(cause error) *ExitError {
	status := "exit status 0"
	if cause != nil {
		status = cause.Error()
	}
	return &ExitError{Program: p, Status: status, logEnd: logTail(p.logFile)}
}

func (r *run) signal(signal syscall.Signal) error {
	if err := r.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s: %w", signal, err)
	}
	return nil
}

func (r *run) waitDone(timeout time.Duration) bool {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-r.done:
		return true
	case <-timer.C:
	}
	// Both may be ready. The exit has precedence.
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

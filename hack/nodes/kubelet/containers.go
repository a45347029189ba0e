// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/creack/pty"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// closeDelay is the time after which the output of a command is closed if background processes keep the output open.
// The time begins when the command exits.
const closeDelay = 2 * time.Second

// containers simulates the containers of all Pods.
type containers struct{ dir string }

// directory returns the directory of a Pod, and creates it if necessary. It is the working directory of commands.
func (c containers) directory(pod string) (string, error) {
	dir := filepath.Join(c.dir, filepath.FromSlash(pod))
	if err := os.MkdirAll(dir, 0o700); err != nil { //nolint:gosec // kube-apiserver sends names of Pods
		return "", fmt.Errorf("create the directory of the Pod: %w", err)
	}
	return dir, nil
}

// ExecInContainer implements remotecommand.Executor.
func (c containers) ExecInContainer(
	ctx context.Context, pod, _, _ string, command []string, in io.Reader, out, errOut io.WriteCloser, tty bool,
	resize <-chan remotecommand.TerminalSize, _ time.Duration,
) error {
	dir, err := c.directory(pod)
	if err != nil {
		return err
	}
	if len(command) == 0 {
		return errors.New("there is no command")
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // the purpose of exec
	cmd.Dir, cmd.WaitDelay = dir, closeDelay
	_, name, _ := strings.Cut(pod, "/")
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "HOSTNAME=" + name, "TERM=xterm-256color",
		"PS1=" + name + ":\\w\\$ ",
	}
	if tty {
		return terminal(cmd, in, out, resize)
	}
	cmd.Stdout, cmd.Stderr = out, errOut
	return runWithInput(cmd, in)
}

// runWithInput runs a command with an optional standard input. It returns after the command has exited, even if the
// reader stdin has not ended.
func runWithInput(cmd *exec.Cmd, stdin io.Reader) error {
	if stdin == nil {
		return exitError(cmd.Run())
	}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("create a pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the command: %w", err)
	}
	go func() {
		_, _ = io.Copy(pipe, stdin)
		_ = pipe.Close()
	}()
	return exitError(cmd.Wait())
}

// terminal runs a command in a terminal. The end of the input closes the terminal.
func terminal(cmd *exec.Cmd, in io.Reader, out io.Writer, resize <-chan remotecommand.TerminalSize) error {
	screen, err := pty.Start(cmd)
	if err != nil {
		return fmt.Errorf("start the command: %w", err)
	}
	go func() {
		for size := range resize {
			_ = pty.Setsize(screen, &pty.Winsize{Rows: size.Height, Cols: size.Width})
		}
	}()
	if in != nil {
		go func() {
			_, _ = io.Copy(screen, in)
			_ = screen.Close()
		}()
	}
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		_, _ = io.Copy(out, screen) // returns an error when the terminal is closed
	}()
	err = cmd.Wait()
	select { // background processes of the command may keep the terminal open
	case <-shown:
	case <-time.After(closeDelay):
	}
	_ = screen.Close()
	return exitError(err)
}

// AttachContainer implements remotecommand.Attacher. It simulates the process of the container. With input, this
// process is a shell. Without input, AttachContainer sends the new lines of the container's log.
func (c containers) AttachContainer(
	ctx context.Context, pod, uid, container string, in io.Reader, out, errOut io.WriteCloser, tty bool,
	resize <-chan remotecommand.TerminalSize,
) error {
	if in != nil {
		return c.ExecInContainer(ctx, pod, uid, container, []string{"sh"}, in, out, errOut, tty, resize, 0)
	}
	none := int64(0)
	return c.readLog(ctx, pod, container, false, &logOptions{TailLines: &none, Follow: true}, out, errOut)
}

// PortForward implements portforward.PortForwarder: the ports of Pods are those of the loopback interface.
func (c containers) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	defer func() { _ = stream.Close() }()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	defer func() { _ = conn.Close() }()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.Copy(conn, stream)
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
	}()
	_, err = io.Copy(stream, conn)
	return err
}

// exitError returns the error of a command with its exit status, in the form that the streaming library expects.
func exitError(err error) error {
	if exited, ok := errors.AsType[*exec.ExitError](err); ok && exited.Exited() {
		return status{exited}
	}
	return err
}

type status struct{ *exec.ExitError }

// ExitStatus returns the exit status.
func (s status) ExitStatus() int { return s.ExitCode() }

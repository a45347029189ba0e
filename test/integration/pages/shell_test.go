// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// marker ends the output of each command, before its exit status.
	marker = "\x01exit"
	// typed is what a command reads that asks for something.
	typed = "lamp orbit walnut seldom"
	// commandTimeout bounds one command; a start of the control plane is one.
	commandTimeout = 4 * time.Minute
)

// shell is one bash, in which the commands of a page run one after the other.
type shell struct {
	in   io.Writer
	out  *bufio.Reader
	file string
	kill func()
}

// newShell starts bash in a directory. It ends with the test.
func newShell(tb testing.TB, dir string, env []string) *shell {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "bash", "--noprofile", "--norc")
	cmd.Dir, cmd.Env = dir, env
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, writer, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	_ = writer.Close()
	tb.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = out.Close()
	})
	return &shell{
		in: in, out: bufio.NewReader(out), file: filepath.Join(tb.TempDir(), "command"),
		kill: func() { _ = cmd.Process.Kill() },
	}
}

// run runs a command and returns its output and its exit status. Variables and functions stay for the next command.
func (s *shell) run(command string) (string, int, error) {
	if err := os.WriteFile(s.file, []byte(command+"\n"), 0o600); err != nil {
		return "", 0, err
	}
	timer := time.AfterFunc(commandTimeout, s.kill)
	defer timer.Stop()
	if _, err := fmt.Fprintf(s.in, "source '%s' <<< '%s'\nprintf '%%s%%d\\n' $'\\x01exit' $?\n", s.file, typed); err != nil {
		return "", 0, err
	}
	var output strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		text, status, found := strings.Cut(line, marker)
		output.WriteString(text)
		if found {
			code, err := strconv.Atoi(strings.TrimSpace(status))
			return output.String(), code, err
		}
		if err != nil {
			return output.String(), 0, fmt.Errorf("the shell ended, or the command took longer than %s: %w", commandTimeout, err)
		}
	}
}

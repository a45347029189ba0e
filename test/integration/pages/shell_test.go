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
	// marker is the text that follows the output of each command, before the exit status.
	marker = "\x01exit"
	// typed is the input of commands that prompt for a password.
	typed = "lamp orbit walnut seldom"
	// commandTimeout bounds one command, such as the start of a control plane.
	commandTimeout = 4 * time.Minute
)

type shell struct {
	in   io.Writer
	out  *bufio.Reader
	file string
	kill func()
}

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
	// All commands of a script must succeed, not only the last command.
	if _, err := io.WriteString(in, "set -o pipefail\ntrap 'failed=1' ERR\n"); err != nil {
		tb.Fatal(err)
	}
	return &shell{
		in: in, out: bufio.NewReader(out), file: filepath.Join(tb.TempDir(), "command"),
		kill: func() { _ = cmd.Process.Kill() },
	}
}

// run returns exit status 0 if all parts of the command have succeeded. Variables and functions remain defined for the
// next command.
func (s *shell) run(command string) (string, int, error) {
	if err := os.WriteFile(s.file, []byte(command+"\n"), 0o600); err != nil {
		return "", 0, err
	}
	timer := time.AfterFunc(commandTimeout, s.kill)
	defer timer.Stop()
	if _, err := fmt.Fprintf(s.in, "failed=0; source '%s' <<< '%s'\nprintf '%%s%%d\\n' $'\\x01exit' $(($? | failed))\n",
		s.file, typed); err != nil {
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
			return output.String(), 0, fmt.Errorf("the shell ended, or the command took longer than %s: %w",
				commandTimeout, err)
		}
	}
}

func TestShell(t *testing.T) {
	s := newShell(t, t.TempDir(), os.Environ())
	for _, c := range []struct {
		command, output string
		ok              bool
	}{
		{"A=1\nf() { echo \"$A\"; }", "", true},
		{"f; f", "1\n1\n", true},
		{"read -r B; echo \"$B\"", typed + "\n", true},
		{"cat <<X\nb\nX", "b\n", true},
		{"until true; do echo never; done; if false; then echo never; fi", "", true},
		{"printf unended", "unended", true},
		{"false\necho later", "later\n", false},
		{"false | cat", "", false},
		{"echo last; false", "last\n", false},
		{"true", "", true},
	} {
		output, status, err := s.run(c.command)
		if err != nil {
			t.Fatal(err)
		}
		if output != c.output || (status == 0) != c.ok {
			t.Errorf("%q prints %q and ends with %d, want %q", c.command, output, status, c.output)
		}
	}
}

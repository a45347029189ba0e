// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shell returns a program that runs a line of shell, and is ready when it has printed "up".
func shell(t *testing.T, line string) *Program {
	t.Helper()
	logFile := filepath.Join(t.TempDir(), "shell.log")
	program := &Program{
		name:    "shell",
		path:    "/bin/sh",
		args:    []string{"-c", line},
		logFile: logFile,
		ready: func(context.Context) error {
			text, err := os.ReadFile(logFile)
			if err != nil {
				return err
			}
			if !strings.Contains(string(text), "up") {
				return errors.New("not up")
			}
			return nil
		},
		startTimeout: 10 * time.Second,
		stopTimeout:  10 * time.Second,
	}
	t.Cleanup(func() { _ = program.Kill() })
	return program
}

func TestProgramRestart(t *testing.T) {
	t.Parallel()
	program := shell(t, "echo up; exec sleep 60")
	program.onExit = func(err *ExitError) { t.Errorf("a wanted end is reported: %v", err) }
	if err := program.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := program.PID()
	if err := program.Start(t.Context()); err == nil {
		t.Error("a second start gives no error")
	}
	if err := program.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if second := program.PID(); second == 0 || second == first {
		t.Errorf("process id is %d after %d", second, first)
	}
	for range 2 {
		if err := program.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if pid := program.PID(); pid != 0 {
		t.Errorf("process id is %d after Stop", pid)
	}
}

func TestProgramOutlivesStartContext(t *testing.T) {
	t.Parallel()
	program := shell(t, "echo up; exec sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	if err := program.Start(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	if program.current().waitDone(300 * time.Millisecond) {
		t.Error("the program ended with the context of its start")
	}
}

func TestProgramThatIgnoresTermination(t *testing.T) {
	t.Parallel()
	program := shell(t, "trap '' TERM; echo up; while :; do sleep 1; done")
	program.stopTimeout = 500 * time.Millisecond
	if err := program.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := program.Stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took < program.stopTimeout {
		t.Errorf("Stop took %s: the program was not given time", took)
	}
}

func TestProgramThatEndsWhileItStarts(t *testing.T) {
	t.Parallel()
	program := shell(t, "echo no such flag; exit 3")
	begun := time.Now()
	err := program.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no such flag") {
		t.Fatalf("error is %v, want one with the end of the log", err)
	}
	if took := time.Since(begun); took > program.startTimeout/2 {
		t.Errorf("Start noticed the end after %s", took)
	}
}

func TestProgramThatIsNeverReady(t *testing.T) {
	t.Parallel()
	program := shell(t, "echo still busy; exec sleep 60")
	program.startTimeout = 300 * time.Millisecond
	err := program.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "still busy") || !strings.Contains(err.Error(), "not up") {
		t.Fatalf("error is %v, want one with the reason and the end of the log", err)
	}
	if pid := program.PID(); pid != 0 {
		t.Errorf("process %d is left", pid)
	}
}

func TestProgramThatDoesNotExist(t *testing.T) {
	t.Parallel()
	program := shell(t, "")
	program.path = filepath.Join(t.TempDir(), "nothing")
	if err := program.Start(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("error is %v, want %v", err, os.ErrNotExist)
	}
}

func TestProgramReportsItsExit(t *testing.T) {
	t.Parallel()
	program := shell(t, "echo up; sleep 0.3; echo out of luck; exit 7")
	reports := make(chan error, 1)
	program.onExit = func(err *ExitError) { reports <- err }
	if err := program.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-reports:
		for _, want := range []string{"shell", "exit status 7", "out of luck"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("report %q does not contain %q", err, want)
			}
		}
	case <-time.After(testTimeout):
		t.Fatal("nothing was reported")
	}
}

func TestLogTail(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "long.log")
	writeTestFile(t, path, strings.Repeat("noise\n", 10_000)+"last words\n")
	tail := logTail(path)
	if lines := strings.Count(tail, "\n") + 1; lines != tailLines || !strings.HasSuffix(tail, "    last words") {
		t.Errorf("tail has %d lines: %q", lines, tail)
	}
	if tail := logTail(path + ".none"); !strings.Contains(tail, "read the log") {
		t.Errorf("tail of no file is %q", tail)
	}
}

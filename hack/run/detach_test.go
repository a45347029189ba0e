// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// childVariable is the environment variable that makes the test binary act as the background process.
const childVariable = "RUN_TEST_CHILD"

func TestMain(m *testing.M) {
	mode := os.Getenv(childVariable)
	if mode == "" {
		os.Exit(m.Run())
	}
	if err := fakeChild(mode); err != nil {
		fmt.Fprintln(os.Stderr, "error: "+err.Error())
		os.Exit(1)
	}
}

// fakeChild simulates the background process that detach() starts.
func fakeChild(mode string) (err error) {
	files := state{dir: "."} // the tests start the process in the state folder
	release, err := files.lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.clear(), release()) }()
	fmt.Println("working with " + strings.Join(os.Args[1:], " "))
	if mode == "fail" {
		return errors.New("no luck")
	}
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer restore()
	if err := files.write(pidFile, strconv.Itoa(os.Getpid())); err != nil {
		return err
	}
	if mode == "ready" {
		if err := files.write(endpointFile, "https://localhost:1\n"); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

func testState(t *testing.T) state {
	t.Helper()
	files, err := openState(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestDetachAndStop(t *testing.T) {
	files := testState(t)
	t.Setenv(childVariable, "ready")
	var shown bytes.Buffer
	if err := detach(t.Context(), files.dir, files,
		settings{port: 1, kubePort: 2, memberPort: 3, nodes: 4, fresh: true, member: true}, &shown); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(shown.String(),
		"working with --port=1 --kube-port=2 --member-port=3 --nodes=4 --fresh --member") {
		t.Errorf("shown is %q", shown.String())
	}
	pid, err := files.pid()
	if err != nil {
		t.Fatal(err)
	}
	if session, err := syscall.Getpgid(pid); err != nil || session != pid {
		t.Errorf("process group of the child %d is %d (%v), want its own", pid, session, err)
	}

	err = detach(t.Context(), files.dir, files, settings{}, &shown)
	if !errors.Is(err, errRunning) || !strings.Contains(err.Error(), "make stop") ||
		!strings.Contains(err.Error(), strconv.Itoa(pid)) {
		t.Errorf("error of a second run is %v", err)
	}
	if _, err := os.Stat(files.path(endpointFile)); err != nil {
		t.Errorf("the second run harmed the first: %v", err)
	}

	shown.Reset()
	if err := stop(t.Context(), files, &shown); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(shown.String(), "stopped\n") {
		t.Errorf("shown is %q", shown.String())
	}
	if _, err := os.Stat(files.path(pidFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("pid file after the stop: %v", err)
	}
}

func TestDetachFails(t *testing.T) {
	files := testState(t)
	t.Setenv(childVariable, "fail")
	var shown bytes.Buffer
	err := detach(t.Context(), files.dir, files, settings{}, &shown)
	if err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("error is %v", err)
	}
	if !strings.Contains(shown.String(), "error: no luck") {
		t.Errorf("shown is %q", shown.String())
	}
}

func TestDetachInterrupted(t *testing.T) {
	files := testState(t)
	t.Setenv(childVariable, "hang")
	ctx, cancel := context.WithCancel(t.Context())
	shown := writerFunc(func(text []byte) {
		if bytes.Contains(text, []byte("working")) {
			cancel()
		}
	})
	if err := detach(ctx, files.dir, files, settings{}, shown); err == nil {
		t.Error("an interrupted start gives no error")
	}
	release, err := files.lock()
	if err != nil {
		t.Fatalf("the child is left: %v", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(text []byte) (int, error) {
	f(text)
	return len(text), nil
}

func TestStopWithoutRun(t *testing.T) {
	files := testState(t)
	// The pid file of a killed process may contain the id of an unrelated process. Here, it is this process.
	for name, text := range map[string]string{pidFile: strconv.Itoa(os.Getpid()), adminPasswordFile: "old"} {
		if err := files.write(name, text); err != nil {
			t.Fatal(err)
		}
	}
	var shown bytes.Buffer
	if err := stop(t.Context(), files, &shown); err != nil {
		t.Fatal(err)
	}
	if shown.String() != "nothing runs\n" {
		t.Errorf("shown is %q", shown.String())
	}
	for _, name := range []string{pidFile, adminPasswordFile} {
		if _, err := os.Stat(files.path(name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s after the stop: %v", name, err)
		}
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestPasswordProcess verifies the behavior of the child process in which a server hashes passwords:
//   - The child process continues after SIGTERM.
//   - After the child process was killed, logins get a response, and a new child process hashes passwords.
//   - The child process ends when the server is killed.
func TestPasswordProcess(t *testing.T) {
	replica := replicaWith(t, behindProxy)
	client := at(t, replica.Endpoint())
	go raisePriorities(t.Context(), replica.PID())
	logIn := func() { // A child hashes only frequent passwords. The logins fail, but take as long as others.
		var logins errgroup.Group
		for range 8 {
			logins.Go(func() error {
				request := fixture.LoginRequest(wire.DirectPath, fixture.Name("nobody"), "wrong")
				request.Header = http.Header{"X-Forwarded-For": {fixture.RandomAddress()}}
				_, err := client.Do(t.Context(), request)
				return err
			})
		}
		if err := logins.Wait(); err != nil {
			t.Error(err)
		}
	}
	first := hashingChild(t, replica, logIn, 0)
	process, err := os.FindProcess(first)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // the API server library ends a program at the second signal
		if err := process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if again := hashingChild(t, replica, logIn, 0); again != first {
		t.Errorf("process %d hashes passwords after the signal, want %d", again, first)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	second := hashingChild(t, replica, logIn, first)
	if err := replica.Kill(); err != nil {
		t.Fatal(err)
	}
	fixture.Eventually(t, "end the child of a killed server", func(context.Context) error {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", second)); err == nil {
			return fmt.Errorf("process %d is running", second)
		}
		return nil
	})
}

// hashingPatience bounds the wait for a child process that hashes passwords. On a machine without a free processor, a
// child may exceed its timeout. The server then starts no child for a minute.
const hashingPatience = 150 * time.Second

// hashingChild calls the function logIn until a child process of the server has hashed a password. It returns the PID
// of the child process. The child process with the PID ignoredPID is ignored.
func hashingChild(t *testing.T, server *localcluster.APIServer, logIn func(), ignoredPID int) (child int) {
	t.Helper()
	hash := func(context.Context) error {
		logIn() // causes the start of a child
		for _, pid := range localcluster.Children(server.PID()) {
			if pid == ignoredPID || !hasLowPriority(pid, server.PID()) {
				continue // the process still starts, or has ended
			}
			before := stat(pid, userTimeIndex)
			logIn()
			if after := stat(pid, userTimeIndex); after != "" && after != before {
				child = pid
				return nil
			}
		}
		return errors.New("no child has hashed a password")
	}
	if err := localcluster.Poll(t.Context(), hashingPatience, "hash a password in a child process", hash); err != nil {
		t.Fatal(err)
	}
	return child
}

// Indices of fields in /proc/PID/stat. Index 0 is the first field after the name of the program.
const (
	userTimeIndex = 11 // in clock ticks
	niceIndex     = 16
)

// raisePriorities raises the priority of a server's child processes until ctx ends. With a low priority, a child
// process could exceed its timeout on a busy machine.
func raisePriorities(ctx context.Context, serverPID int) {
	for ctx.Err() == nil {
		for _, child := range localcluster.Children(serverPID) {
			if hasLowPriority(child, serverPID) {
				raisePriority(child)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func raisePriority(process int) {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", process))
	if err != nil {
		return // the process has ended
	}
	for _, thread := range threads {
		if id, err := strconv.Atoi(thread.Name()); err == nil {
			// The priority remains lower than the priority of the server. An error is ignored, because the test
			// may lack the right to raise priorities.
			_ = unix.Setpriority(unix.PRIO_PROCESS, id, 1)
		}
	}
}

func hasLowPriority(child, server int) bool {
	nice := stat(child, niceIndex)
	return nice != "" && nice != stat(server, niceIndex)
}

// stat returns a field of the status of a process, or an empty string if the process has ended.
func stat(pid, field int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, fields, _ := strings.Cut(string(text), ") ")
	return strings.Fields(fields)[field]
}

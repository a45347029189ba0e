// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package password

import (
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// childVariable is the environment variable with which the test program serves hashes.
const childVariable = "KUBEVISION_TEST_HASH_PASSWORDS"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		if err := Serve(os.Stdin, os.Stdout); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// newTestProcess returns a process that runs this test program.
func newTestProcess(t *testing.T) *Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(childVariable, "1")
	p := NewProcess(1, self)
	t.Cleanup(func() { stop(t, p) })
	return p
}

// stop ends the child in the way in which the exit of the server ends it, and waits for its end.
func stop(t *testing.T, p *Process) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child == nil {
		return
	}
	_ = p.child.client.Close() // ErrShutdown if the child has ended
	awaitEnd(t, p.child)
}

func awaitEnd(t *testing.T, c *child) {
	t.Helper()
	select {
	case <-c.ended:
	case <-time.After(10 * time.Second):
		_ = c.cmd.Process.Kill()
		t.Error("the child did not end with its input")
	}
}

func (p *Process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child == nil {
		return 0
	}
	return p.child.cmd.Process.Pid
}

// verify verifies a hash with the process, and another one without it.
func verify(t *testing.T, p *Process) {
	t.Helper()
	h, err := newHasher(t.Context(), 1, Parameters{Memory: 64, Time: 1, Threads: 1}, p)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []*Hasher{h, quickHasher(t)} {
		if err := h.Verify(t.Context(), "correct horse", hash); err != nil {
			t.Errorf("correct password: %v", err)
		}
		if err := h.Verify(t.Context(), "wrong horse", hash); err == nil {
			t.Error("a wrong password was accepted")
		}
	}
}

func niceOf(t *testing.T, id int) int {
	t.Helper()
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, id)
	if err != nil {
		t.Fatal(err)
	}
	return rawPriority - raw
}

// TestProcess verifies that a child of low priority computes the same hashes, and that the threads of the server keep
// their priority.
func TestProcess(t *testing.T) {
	p := newTestProcess(t)
	verify(t, p)
	pid := p.pid()
	if pid == 0 {
		t.Fatal("no child computed the hashes")
	}
	// The test program may have been started with a nice value itself.
	own := niceOf(t, os.Getpid())
	if got, want := niceOf(t, pid), min(own+processNice, maxNice); got != want {
		t.Errorf("the nice value of the child is %d, want %d", got, want)
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			t.Fatal(err)
		}
		if got := niceOf(t, id); got != own {
			t.Errorf("the nice value of thread %d of the server is %d, want %d", id, got, own)
		}
	}
	verify(t, p)
	if p.pid() != pid {
		t.Error("the second hash was not computed by the same child")
	}
}

// TestProcessEnds verifies that the server hashes passwords if the child has been killed, and that it starts another
// child later, but not at once.
func TestProcessEnds(t *testing.T) {
	p := newTestProcess(t)
	verify(t, p)
	old := p.child
	p.interval = time.Hour
	if err := old.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, old)
	verify(t, p)
	if p.pid() != 0 {
		t.Error("another child was started before the end of the interval")
	}
	p.interval = 0
	verify(t, p)
	if pid := p.pid(); pid == 0 || pid == old.cmd.Process.Pid {
		t.Errorf("the child is %d after the end of %d", pid, old.cmd.Process.Pid)
	}
}

// TestProcessDoesNotRespond verifies that a child that does not respond is killed, and that the server hashes passwords
// instead.
func TestProcessDoesNotRespond(t *testing.T) {
	p := newTestProcess(t)
	verify(t, p)
	stopped := p.child
	if err := stopped.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.timeout = 50 * time.Millisecond
	verify(t, p)
	awaitEnd(t, stopped)
}

// TestProcessCannotStart verifies that the server hashes passwords if the program does not exist, or exits.
func TestProcessCannotStart(t *testing.T) {
	for _, command := range []string{"/does/not/exist", "/bin/false"} {
		p := NewProcess(1, command)
		verify(t, p)
		t.Cleanup(func() { stop(t, p) })
	}
}

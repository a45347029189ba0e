// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package password

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// childVariable is the environment variable that makes the test binary act as the child process, which hashes
// passwords.
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

// newTestProcess returns a Process that runs this test binary as the child process. The child process ends with the
// test.
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

// stop ends the child process if a child process is ready. To simulate an exit of the server, stop closes the standard
// input of the child process.
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

// current returns the child process, or nil if none is ready.
func (p *Process) current() *child {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.child
}

// awaitChild starts a child process if none is running, and returns the child process when it is ready.
func awaitChild(t *testing.T, p *Process) *child {
	t.Helper()
	for begun := time.Now(); time.Since(begun) < 30*time.Second; time.Sleep(10 * time.Millisecond) {
		if c := beginFrequent(p); c != nil {
			p.endCall()
			return c
		}
	}
	t.Fatal("no child is ready")
	return nil
}

// verify hashes a password with p, and verifies that only this password matches the hash. It checks the hash both
// with p and without p.
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

// TestHashDuringStart verifies that a hash does not wait for the start of a child process.
func TestHashDuringStart(t *testing.T) {
	p := NewProcess(1, "/bin/sh", "-c", "cat > /dev/null") // never responds, and ends with its input
	begun := time.Now()
	verify(t, p)
	if took := time.Since(begun); took > slowPause/2 {
		t.Errorf("the hashes took %s", took)
	}
}

// TestProcess verifies that the child process has a low CPU priority and its own memory limit. It also verifies that
// the child process computes the same hashes as the server process.
func TestProcess(t *testing.T) {
	p := newTestProcess(t)
	verify(t, p)
	c := awaitChild(t, p)
	// The test program may have been started with a nice value itself.
	if got, want := niceOf(t, c.cmd.Process.Pid), min(niceOf(t, os.Getpid())+niceIncrement, maxNice); got != want {
		t.Errorf("the nice value of the child is %d, want %d", got, want)
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", c.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := niceOf(t, id), niceOf(t, c.cmd.Process.Pid); got != want {
			t.Errorf("the nice value of a thread of the child is %d, want %d", got, want)
		}
	}
	for name, want := range map[string]string{
		"oom_score_adj": maxOOMScore, "environ": "\x00GOMEMLIMIT=" + childMemory + "\x00",
	} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", c.cmd.Process.Pid, name))
		if err != nil || !strings.Contains(string(text)+"\x00", want) {
			t.Errorf("%s of the child lacks %q: %v", name, want, err)
		}
	}
	cheap := Parameters{Memory: 64, Time: 1, Threads: 1}
	if _, ok := p.key(KeyRequest{Salt: make([]byte, minSalt), Cost: cheap, Length: minKey}); !ok {
		t.Error("the child has not computed a key")
	}
	verify(t, p)
	if p.current() != c {
		t.Error("the second hash was not computed by the same child")
	}
}

// TestProcessEnds verifies that the server process hashes passwords itself after the child process was killed. Another
// child process is started only after a pause.
func TestProcessEnds(t *testing.T) {
	p := newTestProcess(t)
	old := awaitChild(t, p)
	p.pause = time.Hour
	if err := old.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, old)
	verify(t, p)
	if beginFrequent(p) != nil || p.starting {
		t.Error("another child was started before the end of the pause")
	}
	p.notBefore = time.Time{}
	if c := awaitChild(t, p); c == old {
		t.Error("the child that has ended is used")
	}
}

// TestProcessDoesNotRespond verifies that a child process that does not respond is killed. The server process then
// hashes passwords itself, and does not start another child process soon.
func TestProcessDoesNotRespond(t *testing.T) {
	p := newTestProcess(t)
	stopped := awaitChild(t, p)
	if err := stopped.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.timeout = 50 * time.Millisecond
	verify(t, p)
	awaitEnd(t, stopped)
	if pause := time.Until(p.notBefore); beginFrequent(p) != nil || p.starting || pause < slowPause/2 {
		t.Errorf("another child may start after %s", pause)
	}
}

// TestProcessCannotStart verifies that the server process hashes passwords itself if it cannot start the child process.
// The test uses an executable that does not exist, and a program that exits immediately.
func TestProcessCannotStart(t *testing.T) {
	for _, command := range []string{"/does/not/exist", "/bin/false"} {
		p := NewProcess(1, command)
		for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			beginFrequent(p)
			verify(t, p)
			p.mu.Lock()
			failed := !p.notBefore.IsZero()
			p.mu.Unlock()
			if failed {
				break
			}
			if time.Since(begun) > 30*time.Second {
				t.Fatalf("%s: the start has not failed", command)
			}
		}
		if beginFrequent(p) != nil || p.starting {
			t.Errorf("%s: another start follows at once", command)
		}
	}
}

// beginFrequent calls p.begin as if another hash had just ended.
func beginFrequent(p *Process) *child {
	p.mu.Lock()
	p.lastEnd = time.Now()
	p.mu.Unlock()
	defer p.done()
	return p.begin()
}

// TestProcessOfFewHashes verifies that no child process is started if enough time passes between the hashes of
// passwords. A child process is started if two hashes overlap or follow each other closely.
func TestProcessOfFewHashes(t *testing.T) {
	p := newTestProcess(t)
	for range 3 {
		if p.begin() != nil || p.starting {
			t.Fatal("a child was started")
		}
		p.done()
		time.Sleep(2 * burstGap)
	}
	for name, isComplete := range map[string]bool{"during another one": false, "soon after another one": true} {
		p := newTestProcess(t)
		p.begin()
		if isComplete {
			p.done()
		}
		p.begin()
		if !p.starting {
			t.Errorf("a hash %s started no child", name)
		}
		awaitChild(t, p)
	}
}

// TestProcessIsIdle verifies that a child process ends after some time without hashes, and never during a hash. Later
// hashes start another child process.
func TestProcessIsIdle(t *testing.T) {
	p := newTestProcess(t)
	p.idle = 500 * time.Millisecond
	old := awaitChild(t, p)
	if beginFrequent(p) != old { // a hash in progress
		t.Fatal("the child has ended during the hashes")
	}
	select {
	case <-old.ended:
		t.Error("the child has ended during a hash")
	case <-time.After(2 * p.idle):
	}
	p.endCall()
	awaitEnd(t, old)
	if c := awaitChild(t, p); c == old {
		t.Error("the child that has ended is used")
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !race

// The memory of the race detector is not freed.

package password

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMemoryOfChild verifies that successive hashes do not need more memory in the child process than one hash. Soon
// after the last hash, the child process must free the memory.
func TestMemoryOfChild(t *testing.T) {
	c := awaitChild(t, newTestProcess(t))
	before := readMemory(t, c, "RssAnon")
	const size = 64 << 10
	for range 4 {
		if _, err := c.key(KeyRequest{
			Salt: make([]byte, minSalt), Cost: Parameters{Memory: size, Time: 1, Threads: 1}, Length: minKey,
		}, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if peak := readMemory(t, c, "VmHWM"); peak > before+readMemory(t, c, "RssFile")+3*size/2 {
		t.Errorf("the child held up to %d KiB, %d before the hashes", peak, before)
	}
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		after := readMemory(t, c, "RssAnon")
		if after < before+size/4 {
			return
		}
		if time.Since(begun) > 10*freeDelay {
			t.Fatalf("the child holds %d KiB, %d before the hashes", after, before)
		}
	}
}

// readMemory returns a value of /proc/PID/status of a child process, in KiB.
func readMemory(t *testing.T, c *child, name string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, value, _ := strings.Cut(string(text), name+":")
	var out int
	if _, err := fmt.Sscan(value, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

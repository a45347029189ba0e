// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const supervisorVariable = "LOCALCLUSTER_TEST_SUPERVISOR"

// TestSupervisorKilled verifies that a child exits after its supervisor was killed with SIGKILL.
func TestSupervisorKilled(t *testing.T) {
	if os.Getenv(supervisorVariable) != "" {
		superviseForever(t)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	supervisor := exec.CommandContext(t.Context(), self, "-test.run=^TestSupervisorKilled$")
	supervisor.Env = append(os.Environ(), supervisorVariable+"=yes")
	output, err := supervisor.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := supervisor.Start(); err != nil {
		t.Fatal(err)
	}
	var child int
	lines := bufio.NewScanner(output)
	for child == 0 && lines.Scan() {
		_, _ = fmt.Sscanf(lines.Text(), "child %d", &child)
	}
	if child == 0 || !alive(child) {
		t.Fatalf("the supervisor's child %d does not run", child)
	}
	if err := supervisor.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = supervisor.Wait()
	eventually(t, "end of the child", func(context.Context) error {
		if alive(child) {
			return errors.New("still alive")
		}
		return nil
	})
}

func superviseForever(t *testing.T) {
	t.Helper()
	program := shell(t, "echo up; exec sleep 60")
	if err := program.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("child %d\n", program.PID())
	time.Sleep(testTimeout)
}

// alive returns true if the process exists and is not a zombie.
func alive(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err == nil && !strings.Contains(string(status), "State:\tZ")
}

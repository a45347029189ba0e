// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestPasswordProcess verifies that a child process hashes the passwords, that logins succeed after it was killed, and
// that it ends with a server that is killed.
func TestPasswordProcess(t *testing.T) {
	replica, err := env.KubeVision.StartAPIServer(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = replica.Kill() })
	client, err := wire.New(replica.Endpoint(), env.KubeVision.CAPEM())
	if err != nil {
		t.Fatal(err)
	}
	u := set().User(t, "hashed")
	first := hashingChild(t, replica.PID())
	before := cpuTime(t, first)
	u.Login(t, client, wire.DirectPath)
	if after := cpuTime(t, first); after == before {
		t.Error("the child has not hashed the password")
	}
	process, err := os.FindProcess(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	u.Login(t, client, wire.DirectPath)
	var second int
	fixture.Eventually(t, "hash passwords in another child", func(context.Context) error {
		u.Login(t, client, wire.DirectPath)
		for _, pid := range localcluster.Children(replica.PID()) {
			if pid != first {
				second = pid
				return nil
			}
		}
		return fmt.Errorf("there is no child but %d", first)
	})
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

// hashingChild returns the only child process of a server.
func hashingChild(t *testing.T, server int) int {
	t.Helper()
	children := localcluster.Children(server)
	if len(children) != 1 {
		t.Fatalf("the server has the children %v, want one", children)
	}
	return children[0]
}

// cpuTime returns the user time of a process in clock ticks, as proc(5) describes it.
func cpuTime(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	const userTime = 11 // the fields after the name of the program begin with the third
	_, fields, _ := strings.Cut(string(text), ") ")
	return strings.Fields(fields)[userTime]
}

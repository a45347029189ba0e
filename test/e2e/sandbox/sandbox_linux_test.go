// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// endVariable is the environment variable that determines how the first process of a sandbox ends.
	endVariable = "KUBEVISION_E2E_TEST_END"
	// secondsVariable is the environment variable that makes this test binary start a sandbox. The value is the
	// time for which a process in the sandbox sleeps, in seconds.
	secondsVariable = "KUBEVISION_E2E_TEST_SECONDS"
	awaitTimeout    = 20 * time.Second
)

func TestMain(m *testing.M) {
	switch {
	case Inside():
		os.Exit(sandboxMain())
	case os.Getenv(secondsVariable) != "":
		code, err := Run(context.Background())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// sandboxMain is the main function of the first process in a sandbox. It changes mounts, files, kernel settings and the
// hostname, and starts another process in a control group. The environment variable endVariable selects the exit
// code, or makes sandboxMain wait for a signal.
func sandboxMain() int {
	err := errors.Join(mountAll(), protectKernelSettings(), nameMachine())
	for _, setting := range []string{"/proc/sys/vm/overcommit_memory", "/etc/e2e", "/var/lib/e2e"} {
		err = errors.Join(err, os.WriteFile(setting, []byte("1"), 0o600))
	}
	sleep := exec.Command("sleep", os.Getenv(secondsVariable)) //nolint:gosec,noctx // a number; it outlives its parent
	sleep.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err = errors.Join(err, sleep.Start()); err == nil {
		group := filepath.Join(hierarchy(), Cgroup, "container")
		err = errors.Join(os.MkdirAll(group, 0o700),
			os.WriteFile(filepath.Join(group, "cgroup.procs"), fmt.Append(nil, sleep.Process.Pid), 0o600))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	switch os.Getenv(endVariable) {
	case "success":
		return 0
	case "failure":
		return 3
	}
	time.Sleep(time.Hour)
	return 0
}

// hierarchy returns the directory of a hierarchy of control groups. In cgroup v1, this is the hierarchy of the pids
// controller. cgroup v2 has a single hierarchy.
func hierarchy() string {
	if _, err := os.Stat(filepath.Join(cgroupRoot, "pids", "cgroup.procs")); err == nil {
		return filepath.Join(cgroupRoot, "pids")
	}
	return cgroupRoot
}

// TestNothingStays verifies that a sandbox leaves no processes, files, kernel settings or control groups behind. Only
// SIGKILL leaves control groups, which the next run removes.
func TestNothingStays(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a sandbox")
	}
	overcommit, err := os.ReadFile("/proc/sys/vm/overcommit_memory")
	if err != nil {
		t.Fatal(err)
	}
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		signal os.Signal
		code   int
	}{
		{"success", nil, 0},
		{"failure", nil, 3},
		{"interrupt", os.Interrupt, 1},
		{"terminate", syscall.SIGTERM, 1},
		{"kill", os.Kill, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			seconds := "3600." + digits()
			cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this program
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			cmd.Env = append(os.Environ(), secondsVariable+"="+seconds, endVariable+"="+test.name)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if test.signal != nil {
				await(t, "the process", func() bool { return len(sleepers(t, seconds)) > 0 && started(t) })
				if err := cmd.Process.Signal(test.signal); err != nil {
					t.Fatal(err)
				}
			}
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != test.code {
				t.Errorf("the exit code is %d: %s", code, &out)
			}
			await(t, "the end of the process", func() bool { return len(sleepers(t, seconds)) == 0 })
			if test.name == "kill" { // only the next run can remove the control groups
				if err := removeCgroups(); err != nil {
					t.Error(err)
				}
			}
			for _, path := range []string{filepath.Join(hierarchy(), Cgroup), "/etc/e2e", "/var/lib/e2e", Dir} {
				if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s is left (%v)", path, err)
				}
			}
			if now, err := os.ReadFile("/proc/sys/vm/overcommit_memory"); err != nil || !bytes.Equal(now, overcommit) {
				t.Errorf("a setting of the kernel has changed: %s (%v)", now, err)
			}
			if now, err := os.Hostname(); err != nil || now != name {
				t.Errorf("the name of the machine is %s (%v)", now, err)
			}
		})
	}
}

// digits returns random digits. A test appends them to the argument of the command sleep, and finds the
// process by this argument.
func digits() string { return strconv.FormatUint(rand.Uint64(), 10) } //nolint:gosec // not a secret

func started(t *testing.T) bool {
	t.Helper()
	procs, err := os.ReadFile(filepath.Join(hierarchy(), Cgroup, "container", "cgroup.procs"))
	return err == nil && len(procs) > 0
}

func sleepers(t *testing.T, seconds string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && strings.HasPrefix(string(line), "sleep\x00"+seconds) {
			out = append(out, file)
		}
	}
	return out
}

func await(t *testing.T, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(awaitTimeout); !check(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, awaitTimeout)
		}
	}
}

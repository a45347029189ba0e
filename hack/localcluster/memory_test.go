// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

func TestMemoryLimits(t *testing.T) {
	root, err := ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	for folder, want := range map[string]uint64{"apiserver": 1 << 30, "controller-manager": 512 << 20} {
		limit, err := readMemoryLimit(filepath.Join(root, "config", folder, "deployment.yaml"))
		if err != nil || limit.Bytes != want || limit.Soft == "" {
			t.Errorf("%s: %+v, %v", folder, limit, err)
		}
	}
	none := filepath.Join(t.TempDir(), "none.yaml")
	if err := os.WriteFile(none, []byte("kind: Deployment\n---\nkind: Service\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if limit, err := readMemoryLimit(none); err == nil {
		t.Errorf("without a limit: %+v", limit)
	}
}

func TestMemoryOfChildren(t *testing.T) {
	const size = 64 << 20
	alone, err := ReadMemory(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// dd holds a block of the size while it waits for its second block.
	child := exec.CommandContext(t.Context(), "dd", "bs="+strconv.Itoa(size), "if=/dev/zero", "of=/dev/stdout")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	}()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if got := Children(os.Getpid()); !slices.Contains(got, child.Process.Pid) {
		t.Errorf("children %v lack %d", got, child.Process.Pid)
	}
	if err := ForgetPeak(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	both, err := ReadMemory(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if grown := both.Resident - alone.Resident; both.Resident < alone.Resident+size*9/10 || grown > 2*size {
		t.Errorf("%d bytes with a child of %d, %d without", both.Resident, size, alone.Resident)
	}
	if both.Peak < both.Resident-(8<<20) {
		t.Errorf("the peak is %d of %d bytes", both.Peak, both.Resident)
	}
}

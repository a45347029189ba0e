// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"os"
	"path/filepath"
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

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package options

import (
	"os"
	"testing"
)

// TestNoKeyInTheWorkingDirectory verifies that the key that is generated without --tls-cert-file stays in memory.
func TestNoKeyInTheWorkingDirectory(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("KUBECONFIG", "")
	if _, err := New().Config(t.Context()); err == nil {
		t.Fatal("a configuration without a cluster is accepted")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("the working directory holds %v (%v)", entries, err)
	}
}

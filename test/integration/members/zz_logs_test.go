// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/kubevision-io/kubevision/test/environment"
)

// TestLogsKeepCredentials verifies that no program has logged a credential of a member during the tests of the files
// before this one: a token of a kubeconfig, a token of an account on a member, or a private key.
func TestLogsKeepCredentials(t *testing.T) {
	logs, err := filepath.Glob(filepath.Join(env.Cluster.Dir(), "logs", "kubevision-*.log"))
	if err != nil || len(logs) < 2 {
		t.Fatalf("the logs are %v (%v)", logs, err)
	}
	for _, path := range logs {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(registeredToken)) {
			t.Errorf("%s contains the token of a kubeconfig", filepath.Base(path))
		}
		if line := environment.FindCredential(text); line != "" {
			t.Errorf("%s contains a credential: %s", filepath.Base(path), line)
		}
	}
}

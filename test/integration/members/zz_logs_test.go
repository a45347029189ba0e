// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"bytes"
	"testing"

	"github.com/kubevision-io/kubevision/test/environment"
)

// TestLogsKeepCredentials verifies that no program has logged a credential of a member during the tests of the files
// before this one: a token of a kubeconfig, a token of an account on a member, or a private key.
func TestLogsKeepCredentials(t *testing.T) {
	for name, text := range env.Logs(t) {
		if bytes.Contains(text, []byte(registeredToken)) {
			t.Errorf("%s contains the token of a kubeconfig", name)
		}
		if line := environment.FindCredential(text); line != "" {
			t.Errorf("%s contains a credential: %s", name, line)
		}
	}
}

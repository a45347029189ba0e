// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"bytes"
	"testing"

	"github.com/kubevision-io/kubevision/test/environment"
)

// TestLogsContainNoCredentials verifies that the logs of KubeVision's programs contain no tokens and no private keys.
// The test runs last, so that the logs cover all other tests of the package.
func TestLogsContainNoCredentials(t *testing.T) {
	for name, text := range env.Logs(t) {
		if bytes.Contains(text, []byte(registeredToken)) {
			t.Errorf("%s contains the token of a kubeconfig", name)
		}
		if line := environment.FindCredential(text); line != "" {
			t.Errorf("%s contains a credential: %s", name, line)
		}
	}
}

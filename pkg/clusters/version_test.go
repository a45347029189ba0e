// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/version"
)

func TestVersion(t *testing.T) {
	for claimed, want := range map[string]string{
		"v1.36.3": "v1.36.3", "v1.36.3+k3s1": "v1.36.3+k3s1", "v1.30.0-eks-a1b2": "v1.30.0-eks-a1b2",
		"": "", "v1.36.3\n": "", "v1 \x1b[31m": "", "<script>": "", "v" + strings.Repeat("1", 64): "",
	} {
		if got := Version(&version.Info{GitVersion: claimed}); got != want {
			t.Errorf("%q is %q, want %q", claimed, got, want)
		}
	}
}

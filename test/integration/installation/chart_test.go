// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package installation

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// checkChart verifies that kube-apiserver accepts all objects of the Helm chart without a warning. All optional parts
// of the chart are enabled. kube-apiserver must also accept the Pods in a namespace that enforces the Pod Security
// profile "restricted".
func checkChart(t *testing.T) {
	values := filepath.Join("testdata", "everything.yaml")
	absolute, err := filepath.Abs(values)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "hack", "release.sh"), "template", "-values", absolute)
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "chart.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	got := host.kubectl(t.Context(), "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", file)
	if got.err != nil || strings.Contains(got.output, "Warning") {
		t.Errorf("%v\n%s", got.err, got.output)
	}
	if pods := checkPods(t, string(text)); pods != 2 {
		t.Errorf("the chart has %d Deployments", pods)
	}
	for _, kind := range []string{"networkpolicy", "servicemonitor", "ingress", "poddisruptionbudget", "flowschema"} {
		if !strings.Contains(got.output, kind) {
			t.Errorf("no %s was applied", kind)
		}
	}
}

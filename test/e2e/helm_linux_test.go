// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestHelm(t *testing.T) {
	steps(t, []step{
		{"install", func(t *testing.T) {
			helm(t, "install", "kubevision", world.chart(oldVersion), "--namespace", namespace, "--create-namespace")
			world.host.must(t, "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
			awaitInstallation(t)
			registerMember(t)
			checkUse(t)
		}},
		{"upgrade", func(t *testing.T) {
			helm(t, "upgrade", "kubevision", world.chart(newVersion), "--namespace", namespace,
				"--set", "networkPolicy.enabled=true", "--set", "ingress.enabled=true")
			awaitInstallation(t)
			checkUse(t)
		}},
		{"uninstall", func(t *testing.T) {
			helm(t, "uninstall", "kubevision", "--namespace", namespace, "--wait")
			if out := world.host.must(t, "-n", namespace, "get", "deployments", "-o", "name"); out != "" {
				t.Errorf("left: %s", out)
			}
			removeInstallation(t, newVersion)
		}},
	})
}

func (b build) chart(version string) string {
	return b.release(version, "kubevision-"+strings.TrimPrefix(version, "v")+".tgz")
}

func (b build) helm() string { return filepath.Join(b.dir, "helm") }

func helm(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), world.helm(), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+world.host.kubeconfig)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

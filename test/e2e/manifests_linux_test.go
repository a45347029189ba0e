// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestManifests verifies that the previous release can be installed with its install.yaml, upgraded under load, used,
// and removed with remove.yaml.
func TestManifests(t *testing.T) {
	steps(t, []step{
		{"install", func(t *testing.T) {
			restartAPIServerFor(t, oldVersion)
			installManifests(t, oldVersion)
			registerMember(t)
			checkUse(t)
		}},
		{"upgrade", testUpgrade},
		{"skew", testSkew},
		{"conformance", testConformance},
		{"streams", testStreams},
		{"flood", testFlood},
		{"disturbances", testDisturbances},
		{"removal", func(t *testing.T) { removeInstallation(t, newVersion) }},
	})
}

// restartAPIServerFor restarts kube-apiserver if the admission policies of the given KubeVision version have ConfigMaps
// as parameters. Without the restart, the policies would use outdated ConfigMaps.
func restartAPIServerFor(t *testing.T, version string) {
	t.Helper()
	// An earlier test has deleted policies with ConfigMaps. Since then, kube-apiserver does not watch ConfigMaps.
	text, err := os.ReadFile(world.release(version, "install.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "  paramKind:\n    apiVersion: v1\n    kind: ConfigMap\n") {
		return
	}
	if err := world.host.APIServer().Kill(); err != nil {
		t.Fatal(err)
	}
	if err := world.host.APIServer().Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// step is a test on which the following steps depend.
type step struct {
	name string
	test func(*testing.T)
}

func steps(t *testing.T, all []step) {
	t.Helper()
	for _, s := range all {
		begun := time.Now()
		if ok := t.Run(s.name, s.test); !ok && s.name == "install" {
			t.FailNow()
		}
		fmt.Fprintf(os.Stderr, "%s/%s took %s\n", t.Name(), s.name, time.Since(begun).Round(100*time.Millisecond))
	}
}

// testConformance runs the conformance tests against the installation. It omits the tests that compile generated
// clients, because these tests need package registries.
func testConformance(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), world.conformance(),
		"-test.skip=TestTypeScriptClient|TestGeneratedClient", "-url="+serviceURL, "-test.timeout=6m")
	cmd.Dir = filepath.Join(world.root, "test", "conformance")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+world.host.kubeconfig)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
		return
	}
	t.Logf("%s", out)
}

func removeInstallation(t *testing.T, version string) {
	t.Helper()
	begun := time.Now()
	world.host.must(t, "apply", "--server-side", "-f", world.release(version, "remove.yaml"))
	world.host.must(t, "wait", "--for=delete", "namespace/kubevision-removal", "--timeout=110s")
	t.Logf("removed after %s", time.Since(begun).Round(100*time.Millisecond))
	checkNothingLeft(t)
}

func checkNothingLeft(t *testing.T) {
	t.Helper()
	const kinds = "customresourcedefinitions,validatingadmissionpolicies,validatingadmissionpolicybindings," +
		"apiservices,clusterroles,clusterrolebindings,roles,rolebindings,priorityclasses,deployments,services," +
		"configmaps,secrets,serviceaccounts,flowschemas,prioritylevelconfigurations,poddisruptionbudgets"
	for name, c := range map[string]*cluster{"host": world.host, "member": world.member} {
		for _, label := range []string{
			"app.kubernetes.io/part-of=kubevision", "app.kubernetes.io/managed-by=kubevision",
		} {
			if out := c.must(t, "get", kinds, "--all-namespaces", "-l", label, "-o", "name"); out != "" {
				t.Errorf("left in the %s, with the label %s:\n%s", name, label, out)
			}
		}
		out := c.must(t, "get", "namespaces,"+kinds, "--all-namespaces", "-o", "name")
		for line := range strings.Lines(out) {
			if strings.Contains(line, "kubevision") {
				t.Errorf("left in the %s: %s", name, line)
			}
		}
	}
	const probe = "e2e-after-removal"
	world.host.must(t, "create", "namespace", probe)
	world.host.must(t, "delete", "namespace", probe, "--timeout=60s")
}

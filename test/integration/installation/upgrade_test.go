// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package installation

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// TestUpgradeAfterScale verifies that an upgrade stops with a conflict after kubectl scale, and that --force-conflicts
// continues it, as docs/operations.md describes.
func TestUpgradeAfterScale(t *testing.T) {
	install(t)
	const replicas = "jsonpath={.spec.replicas}"
	deployment := []string{"-n", "kubevision-system", "deployment/kubevision-apiserver"}
	host.must(t, append([]string{"scale", "--replicas=5"}, deployment...)...)
	if got := host.kubectl(t.Context(), "apply", "--server-side", "-k", "config/default"); got.err == nil ||
		!strings.Contains(got.output, "conflict") {
		t.Errorf("an upgrade does not notice the change: %v\n%s", got.err, got.output)
	}
	host.must(t, "apply", "--server-side", "--force-conflicts", "-k", "config/default")
	if got := host.must(t, append([]string{"get", "-o", replicas}, deployment...)...); got != "2" {
		t.Errorf("there are %s replicas", got)
	}
	removeAll(t)
}

// TestUpgradeAndRollBack verifies that kubectl can replace the current manifests with older manifests, and can apply
// the current manifests again. After each step, the installed objects must correspond to the applied manifests. The
// objects of users must not change.
func TestUpgradeAndRollBack(t *testing.T) {
	install(t)
	before := object(t)
	old := previousManifests(t)
	for _, config := range []string{filepath.Join(old, "config"), "config", filepath.Join(old, "config"), "config"} {
		host.must(t, "apply", "--server-side", "--force-conflicts", "-k", filepath.Join(config, "default"))
		after := object(t)
		if after.UID != before.UID || after.DeletionTimestamp != nil || after.Generation != before.Generation {
			t.Errorf("with the manifests in %s, the cluster is %+v", config, after.ObjectMeta)
		}
		got := host.kubectl(t.Context(), "diff", "--server-side", "--force-conflicts",
			"-k", filepath.Join(config, "default"))
		if got.err != nil {
			t.Errorf("the manifests in %s are not in force: %v\n%s", config, got.err, got.output)
		}
	}
	removeAll(t)
}

func object(t *testing.T) *kubevisionv1alpha1.KubeVisionCluster {
	t.Helper()
	c := &kubevisionv1alpha1.KubeVisionCluster{}
	if err := host.admin.Get(t.Context(), client.ObjectKey{Name: memberName}, c); err != nil {
		t.Fatal(err)
	}
	return c
}

func removeAll(t *testing.T) {
	t.Helper()
	if got := remove(t); got.err != nil {
		t.Fatalf("%v\n%s", got.err, got.output)
	}
	checkMember(t, false)
}

func previousManifests(t *testing.T) string {
	t.Helper()
	git := func(args ...string) ([]byte, error) {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = root
		return cmd.Output()
	}
	revision := "HEAD~10"
	if tag, err := git("describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^"); err == nil {
		revision = strings.TrimSpace(string(tag))
	}
	archive, err := git("archive", revision, "config")
	if err != nil {
		t.Skipf("the history does not contain %s", revision)
	}
	dir := t.TempDir()
	reader := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.Clean("/"+header.Name))
		if header.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(reader)
		if err == nil {
			err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

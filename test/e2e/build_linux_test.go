// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/kubevision-io/kubevision/hack/localcluster"
)

const (
	// repository is the name of KubeVision's image. The node imports the image from an archive, because the registry
	// does not exist.
	repository      = "registry.example.com/kubevision"
	oldVersion      = "v0.1.0-e2e.1"
	newVersion      = "v0.1.0-e2e.2"
	versionVariable = "github.com/kubevision-io/kubevision/pkg/version.version="
	lastTag         = "$(git describe --tags --abbrev=0 --match 'v*' HEAD^ 2>/dev/null)"
)

type build struct {
	root, dir string
	// controlPlaneDir is the directory of the control plane's programs, such as kube-apiserver.
	controlPlaneDir string
	// nodeDir is the directory of a node's programs, such as kubelet.
	nodeDir string
}

func (b build) release(version, name string) string { return filepath.Join(b.dir, version, name) }

func (b build) image(version string) string {
	return b.release(version, "kubevision-"+version+"-image.tar")
}

func (b build) conformance() string { return filepath.Join(b.dir, "conformance.test") }

func (b build) logs() string { return filepath.Join(b.dir, "logs") }

// newBuild builds or downloads the Kubernetes programs that the tests run, unless the programs already exist.
func newBuild(ctx context.Context) (build, error) {
	root, err := localcluster.ModuleRoot()
	if err != nil {
		return build{}, err
	}
	b := build{root: root, dir: filepath.Join(root, "bin", "e2e")}
	if b.controlPlaneDir, err = localcluster.Assets(ctx, os.Stderr); err != nil {
		return build{}, err
	}
	if b.nodeDir, err = localcluster.ClusterAssets(ctx, os.Stderr); err != nil {
		return build{}, err
	}
	return b, nil
}

func (b build) make(ctx context.Context) error {
	old, err := b.previousSource(ctx)
	if err != nil {
		return err
	}
	if err := b.run(ctx, "go", "test", "-c", "-vet=off", "-o", b.conformance(), "./test/conformance"); err != nil {
		return err
	}
	for version, source := range map[string]string{oldVersion: old, newVersion: b.root} {
		err := b.run(ctx, filepath.Join(b.root, "hack", "release.sh"), "all", "-root", source,
			"-output", filepath.Join(b.dir, version), "-repository", repository, "-version", version,
			"-date", "2000-01-01T00:00:00Z", "-architectures", runtime.GOARCH,
			"-ldflags", "-X "+versionVariable+version)
		if err != nil {
			return err
		}
	}
	return b.run(ctx, "go", "-C", "hack/release", "build", "-trimpath", "-o", b.helm(), "helm.sh/helm/v4/cmd/helm")
}

// previousSource extracts the source of the previous release, or of a recent commit that can be built. If the
// repository has no history, it returns the current source.
func (b build) previousSource(ctx context.Context) (string, error) {
	dir := filepath.Join(b.dir, "previous")
	for _, revision := range []string{lastTag, "HEAD~10", "HEAD~20", "HEAD~30", "HEAD~40"} {
		if err := os.RemoveAll(dir); err != nil {
			return "", fmt.Errorf("remove an earlier source: %w", err)
		}
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return "", fmt.Errorf("create the directory of the previous source: %w", err)
		}
		script := `revision="` + revision + `"; git rev-parse --verify --quiet "$revision^{commit}" >/dev/null ` +
			`|| exit 0; git archive "$revision" | tar -x -C "$0"`
		if err := b.run(ctx, "bash", "-c", script, dir); err != nil {
			return "", err
		}
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
			continue // the revision does not exist
		}
		if b.run(ctx, "go", "-C", dir, "build", "-trimpath", "./cmd/...") == nil {
			return dir, nil
		}
	}
	return b.root, nil
}

func (b build) run(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = b.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w: %s", program, err, out)
	}
	return nil
}

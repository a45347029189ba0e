// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	modulePath = "github.com/kubevision-io/kubevision"
	// buildTimeout bounds the duration of a build. It suffices for a build without caches on a slow machine.
	buildTimeout = time.Hour
)

// Assets returns the folder of the control plane's programs, such as kube-apiserver. It builds the programs if they are
// missing. It writes progress and the reason of a failure to out. If out is io.Discard, the error contains the reason
// instead.
func Assets(ctx context.Context, out io.Writer) (string, error) {
	return buildPrograms(ctx, out, "control plane", "controlplane")
}

// NodeAssets returns the folder of the programs that simulate nodes, such as kwok. It builds the programs if they are
// missing. If names are given, it builds only the programs with these names. The parameter out has the same meaning as
// in Assets.
func NodeAssets(ctx context.Context, out io.Writer, names ...string) (string, error) {
	return buildPrograms(ctx, out, "programs of nodes", "nodes", names...)
}

// ObjectStoreAssets returns the folder of the S3 server that tests use, and builds the server if it is missing. The
// parameter out has the same meaning as in Assets.
func ObjectStoreAssets(ctx context.Context, out io.Writer) (string, error) {
	return buildPrograms(ctx, out, "object store", "objectstore")
}

// ClusterAssets returns the folder of the programs of a node that runs real containers, such as kubelet and containerd.
// It builds or downloads the programs if they are missing. The folder contains neither kube-apiserver nor etcd. The
// parameter out has the same meaning as in Assets.
func ClusterAssets(ctx context.Context, out io.Writer) (string, error) {
	return buildPrograms(ctx, out, "programs of a cluster", "cluster")
}

// buildPrograms runs the script build.sh in the given folder below hack, with the names as arguments. It returns the
// path that the script prints. The description names the programs in errors.
func buildPrograms(ctx context.Context, out io.Writer, description, folder string, names ...string) (string, error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	script := filepath.Join(root, "hack", folder, "build.sh")
	args := append([]string{script}, names...)
	cmd := exec.CommandContext(ctx, "bash", args...) //nolint:gosec // a script of this repository
	var stdout, stderr bytes.Buffer
	cmd.Stdout = &stdout
	cmd.Stderr = io.MultiWriter(out, &stderr)
	// SIGTERM lets the script stop its compiler; SIGKILL would leave it running.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		if out == io.Discard {
			err = fmt.Errorf("%w\n%s", err, strings.TrimSpace(stderr.String()))
		}
		return "", fmt.Errorf("build the %s: %w", description, err)
	}
	return strings.TrimSpace(stdout.String()), nil
}

// ModuleRoot returns the folder that contains KubeVision's go.mod. The folder is the working directory or a parent of
// the working directory.
func ModuleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the module root: %w", err)
	}
	for {
		found, err := declaresModule(filepath.Join(dir, "go.mod"))
		if err != nil {
			return "", err
		}
		if found {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod of %s at or above the working directory", modulePath)
		}
		dir = parent
	}
}

func declaresModule(goMod string) (bool, error) {
	text, err := os.ReadFile(goMod) //nolint:gosec // a go.mod above the working directory
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find the module root: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.TrimSpace(line) == "module "+modulePath {
			return true, nil
		}
	}
	return false, nil
}

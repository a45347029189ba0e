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
	// buildTimeout bounds a cold build on a slow machine.
	buildTimeout = time.Hour
)

// Assets returns the folder of the control plane's programs, and builds them if they are missing. It writes progress
// and the reason of a failure to out. If out is io.Discard, the error contains the reason instead.
func Assets(ctx context.Context, out io.Writer) (string, error) {
	return buildPrograms(ctx, out, "control plane", "controlplane")
}

// NodeAssets is like Assets, for the named programs of simulated nodes, or all of them if there are no names.
func NodeAssets(ctx context.Context, out io.Writer, names ...string) (string, error) {
	return buildPrograms(ctx, out, "programs of nodes", "nodes", names...)
}

// ObjectStoreAssets is like Assets, for the S3 server of tests.
func ObjectStoreAssets(ctx context.Context, out io.Writer) (string, error) {
	return buildPrograms(ctx, out, "object store", "objectstore")
}

// ClusterAssets is like Assets, for the programs of a node that runs containers.
func ClusterAssets(ctx context.Context, out io.Writer) (string, error) {
	return buildPrograms(ctx, out, "programs of a cluster", "cluster")
}

// buildPrograms runs the script build.sh of a module below hack, and returns the folder that it prints.
func buildPrograms(ctx context.Context, out io.Writer, what, module string, names ...string) (string, error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	script := filepath.Join(root, "hack", module, "build.sh")
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
		return "", fmt.Errorf("build the %s: %w", what, err)
	}
	return strings.TrimSpace(stdout.String()), nil
}

// ModuleRoot returns the folder of KubeVision's go.mod, at or above the working directory.
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

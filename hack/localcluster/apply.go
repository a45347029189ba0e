// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const applyTimeout = time.Minute

// Apply applies a kustomize folder to the cluster with server-side apply. It retries until the kinds of the
// CustomResourceDefinitions that it has created are served.
func (c *Cluster) Apply(ctx context.Context, kustomizeDir string) error {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	for {
		_, err := c.Kubectl(ctx, "apply", "--server-side", "--force-conflicts", "-k", kustomizeDir)
		if err == nil {
			return nil
		}
		if !retryable(err) {
			return fmt.Errorf("apply %s: %w", kustomizeDir, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("apply %s: gave up after %s: %w", kustomizeDir, applyTimeout, err)
		case <-time.After(time.Second):
		}
	}
}

// retryable returns true for the errors of a cluster that does not serve a new CustomResourceDefinition or APIService
// yet.
func retryable(err error) bool {
	for _, answer := range []string{
		"ensure CRDs are installed first",
		"no matches for kind",
		"the server could not find the requested resource",
		"the server is currently unable to handle the request",
		// A kube-apiserver that starts with existing data looks up the kinds of the admission policies at once, and
		// again after 30 seconds.
		"failed to configure policy",
	} {
		if strings.Contains(err.Error(), answer) {
			return true
		}
	}
	return false
}

// Kubectl runs kubectl with full rights and returns its standard output. The error contains its standard error.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) (string, error) {
	args = append([]string{
		"--kubeconfig=" + c.adminKubeconfig(),
		"--cache-dir=" + filepath.Join(c.dir, "kubectl-cache"),
	}, args...)
	cmd := exec.CommandContext(ctx, c.KubectlPath(), args...) //nolint:gosec // the kubectl of the cluster
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("kubectl: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), err
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubevision-io/kubevision/test/e2e/sandbox"
)

const (
	podLogs = "/var/log/pods"
	// keptLogs is the directory with the logs of all Pods, including Pods that kubelet has removed.
	keptLogs = "/var/log/kept"
)

func followLogs(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			linkLogs()
		}
	}
}

// linkLogs creates a hard link to each log, so that the log remains after kubelet has removed it.
func linkLogs() {
	files, _ := filepath.Glob(podLogs + "/*/*/*.log") // the pattern is valid
	for _, file := range files {
		name := strings.ReplaceAll(strings.TrimPrefix(file, podLogs+"/"), "/", "_")
		// The link exists already, or kubelet has removed the log.
		_ = os.Link(file, filepath.Join(keptLogs, name))
	}
}

// saveLogs copies the logs of the programs and of all Pods to the directory b.logs(). The original files disappear when
// the tests end.
func (b build) saveLogs() {
	linkLogs()
	err := os.MkdirAll(b.logs(), 0o750)
	for name, path := range map[string]string{
		"host":   filepath.Join(sandbox.Dir, "host", "logs"),
		"member": filepath.Join(sandbox.Dir, "member", "logs"),
		"pods":   keptLogs,
	} {
		if _, missing := os.Stat(path); missing != nil {
			continue
		}
		target := filepath.Join(b.logs(), name)
		out, copyErr := exec.Command("cp", "-r", path, target).CombinedOutput() //nolint:noctx // runs after the tests
		if copyErr != nil {
			err = errors.Join(err, fmt.Errorf("%w: %s", copyErr, out))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "logs are lost:", err)
	}
}

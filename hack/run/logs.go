// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubevision-io/kubevision/hack/localcluster"
)

const (
	// logInterval is the time between two lines in the log of each container of the samples.
	logInterval = 10 * newLogInterval
	// newLogInterval is the time between two checks for containers without a log file. The time is short, because
	// kubectl may request the log of a container as soon as the Pod is Running.
	newLogInterval = 100 * time.Millisecond
	// maxLogBytes is the size of a container log, in bytes, at which the log is rotated.
	maxLogBytes = 1 << 20
)

// writeLogs starts a goroutine that writes lines to the logs of the sample Pods, as their containers would. The
// returned function stops the goroutine.
func writeLogs(ctx context.Context, cluster *localcluster.Cluster) (stop func(), err error) {
	client, err := kubernetes.NewForConfig(cluster.Config())
	if err != nil {
		return nil, fmt.Errorf("create a client: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var writer sync.WaitGroup
	writer.Go(func() {
		ticker := time.NewTicker(newLogInterval)
		defer ticker.Stop()
		for n := 0; ; n++ {
			const perRound = int(logInterval / newLogInterval)
			pods, err := client.CoreV1().Pods(demoNamespace).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
			if err == nil { // the control plane may be stopping
				writeRound(cluster.PodsDir(), pods.Items, n/perRound, n%perRound != 0)
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
	return func() {
		cancel()
		writer.Wait()
	}, nil
}

// writeRound writes a line to the log of each container. If onlyFirst is true, it omits containers that already have a
// log.
func writeRound(dir string, pods []corev1.Pod, round int, onlyFirst bool) {
	for i := range pods {
		pod := &pods[i]
		if pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil {
			continue
		}
		for _, container := range pod.Spec.Containers {
			path := filepath.Join(dir, pod.Namespace, pod.Name, container.Name+".log")
			if _, err := os.Stat(path); onlyFirst && err == nil {
				continue
			}
			_ = appendLine(path, exampleLogLine(container.Name, round+i)) // retried in the next round
		}
	}
}

func exampleLogLine(container string, round int) string {
	paths := []string{"/", "/healthz", "/orders", "/orders/17", "/favicon.ico"}
	if container != "web" {
		return fmt.Sprintf("job %d is done", round)
	}
	path, status := paths[round%len(paths)], 200
	if path == "/favicon.ico" {
		status = 404
	}
	return fmt.Sprintf("GET %s %d %dms", path, status, 3+round%11)
}

// appendLine appends a line to a log file in the format of a container runtime. If the log file is larger than
// maxLogBytes, appendLine rotates the log file first.
func appendLine(path, line string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("create the directory of a Pod: %w", err)
	}
	if info, err := os.Stat(path); err == nil && info.Size() > maxLogBytes {
		if err := os.Rename(path, path+".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("rotate a log: %w", err)
		}
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600) //nolint:gosec // below the state folder
	if err != nil {
		return fmt.Errorf("open a log: %w", err)
	}
	_, err = fmt.Fprintf(file, "%s stdout F %s\n", time.Now().UTC().Format(time.RFC3339Nano), line)
	return errors.Join(err, file.Close())
}

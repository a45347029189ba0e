// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	criapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-client/pkg/logs"
)

const (
	logSuffix      = ".log"
	previousSuffix = ".previous.log"
	// exitedSuffix is the suffix of a file whose existence means that the container has exited.
	exitedSuffix = ".exited"
)

type logOptions = logs.LogOptions

func (c containers) serveLogs(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	options, err := parseLogOptions(query)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	out := &flushed{w: w, flush: http.NewResponseController(w).Flush}
	previous := isTrue(query.Get("previous"))
	container := r.PathValue("container")
	if err := c.readLog(r.Context(), podOf(r), container, previous, options, out, out); err != nil && !out.written {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func parseLogOptions(query url.Values) (*logOptions, error) {
	options := &logOptions{Follow: isTrue(query.Get("follow")), Timestamp: isTrue(query.Get("timestamps"))}
	for name, into := range map[string]**int64{"tailLines": &options.TailLines, "limitBytes": &options.LimitBytes} {
		if text := query.Get(name); text != "" {
			number, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			*into = &number
		}
	}
	if text := query.Get("sinceSeconds"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("sinceSeconds: %w", err)
		}
		options.Since = time.Now().Add(-time.Duration(seconds) * time.Second)
	}
	if text := query.Get("sinceTime"); text != "" {
		since, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return nil, fmt.Errorf("sinceTime: %w", err)
		}
		options.Since = since
	}
	return options, nil
}

func isTrue(text string) bool { return text == "true" || text == "1" }

// readLog reads the log of a container. It creates a missing log with a line which states that the container is
// simulated.
func (c containers) readLog(
	ctx context.Context, pod, container string, previous bool, options *logOptions, out, errOut io.Writer,
) error {
	dir, err := c.directory(pod)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, container)
	if previous {
		return logs.ReadLogs(ctx, path+previousSuffix, "", options, runtimeService{path: path}, out, errOut)
	}
	file := path + logSuffix
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) { //nolint:gosec // kube-apiserver sends valid names
		line := time.Now().UTC().Format(time.RFC3339Nano) + " stdout F this container is simulated: it writes nothing\n"
		if err := os.WriteFile(file, []byte(line), 0o600); err != nil { //nolint:gosec // see above: a valid name
			return fmt.Errorf("create the log: %w", err)
		}
	}
	return logs.ReadLogs(ctx, file, path, options, runtimeService{path: path}, out, errOut)
}

// runtimeService implements only ContainerStatus, which logs.ReadLogs calls to find out whether a container runs.
type runtimeService struct {
	criapi.RuntimeService

	path string
}

// ContainerStatus implements criapi.RuntimeService.
func (s runtimeService) ContainerStatus(
	context.Context, string, bool,
) (*runtimeapi.ContainerStatusResponse, error) {
	state := runtimeapi.ContainerState_CONTAINER_RUNNING
	if _, err := os.Stat(s.path + exitedSuffix); err == nil {
		state = runtimeapi.ContainerState_CONTAINER_EXITED
	}
	return &runtimeapi.ContainerStatusResponse{Status: &runtimeapi.ContainerStatus{State: state}}, nil
}

// flushed sends each part of a log immediately.
type flushed struct {
	w       io.Writer
	flush   func() error
	written bool
}

// Write implements io.Writer. It writes and flushes.
func (f *flushed) Write(p []byte) (int, error) {
	f.written = true
	n, err := f.w.Write(p)
	if err != nil {
		return n, fmt.Errorf("write: %w", err)
	}
	return n, f.flush()
}

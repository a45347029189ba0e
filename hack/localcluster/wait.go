// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

const (
	pollInterval = 100 * time.Millisecond
	tailLines    = 15
	tailBytes    = 16 * 1024
)

// Poll calls the function check until the function returns no error. After the timeout, Poll returns the last error of
// the function, prefixed with the description.
func Poll(ctx context.Context, timeout time.Duration, description string, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	begun := time.Now()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: gave up after %s: %w", description, time.Since(begun).Round(time.Second), err)
		case <-ticker.C:
		}
	}
}

// await is like Poll, but returns an error immediately if the program exits. Its errors contain the end of the
// program's log.
func (p *Program) await(
	ctx context.Context, timeout time.Duration, description string, check func(context.Context) error,
) error {
	current := p.current()
	if current == nil {
		return fmt.Errorf("%s: %s does not run; the end of %s:\n%s", description, p.name, p.logFile, logTail(p.logFile))
	}
	return p.awaitRun(ctx, current, timeout, description, check)
}

func (p *Program) awaitRun(
	ctx context.Context, current *run, timeout time.Duration, description string, check func(context.Context) error,
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-current.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := Poll(ctx, timeout, description, check)
	if err == nil {
		return nil
	}
	if current.waitDone(0) {
		err = fmt.Errorf("%s: %s ended meanwhile", description, p.name)
	}
	return fmt.Errorf("%w; the end of %s:\n%s", err, p.logFile, logTail(p.logFile))
}

// logTail returns the end of a log file, indented for an error message.
func logTail(path string) string {
	text, err := readEnd(path, tailBytes)
	if err != nil {
		return "    (" + err.Error() + ")"
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > tailLines {
		lines = lines[len(lines)-tailLines:]
	}
	return "    " + strings.Join(lines, "\n    ")
}

func readEnd(path string, limit int64) (string, error) {
	file, err := os.Open(path) //nolint:gosec // a log file of this package
	if err != nil {
		return "", fmt.Errorf("read the log: %w", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return "", fmt.Errorf("read the log: %w", err)
	}
	offset := max(0, info.Size()-limit)
	text := make([]byte, info.Size()-offset)
	count, err := file.ReadAt(text, offset)
	if err != nil && count == 0 && len(text) > 0 {
		return "", fmt.Errorf("read the log: %w", err)
	}
	return string(text[:count]), nil
}

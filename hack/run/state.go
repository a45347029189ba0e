// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	stateDir = ".kubevision"

	pidFile           = "pid"
	lockFile          = "lock"
	logFile           = "run.log"
	kubeconfigFile    = "kubeconfig"
	endpointFile      = "endpoint"
	caFile            = "ca.crt"
	adminPasswordFile = "admin-password"
	alicePasswordFile = "alice-password"
	memberFile        = "member.kubeconfig"
	binDir            = "bin"
	clusterDir        = "cluster"
	memberDir         = "member"

	// completeFile is a file that is written after the sample objects have been created. The next start reuses the data
	// of the cluster only if completeFile exists.
	completeFile = "complete"
)

// state is the folder in which "make run" stores its files, for example kubeconfigs, logs and the data of the cluster.
type state struct{ dir string }

func openState(dir string) (state, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return state{}, fmt.Errorf("create the state folder: %w", err)
	}
	return state{dir: dir}, nil
}

func (s state) path(name string) string { return filepath.Join(s.dir, name) }

func (s state) write(name, text string) error {
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// clear removes the files with the process ID, the endpoint and the credentials of a run. It keeps the data, the logs
// and the programs.
func (s state) clear() error {
	for _, name := range []string{endpointFile, kubeconfigFile, caFile, adminPasswordFile, alicePasswordFile,
		memberFile, pidFile} {
		if err := os.Remove(s.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("clear the state folder: %w", err)
		}
	}
	return nil
}

// kept returns true if the data of an earlier run can be used again.
func (s state) kept() bool {
	_, err := os.Stat(s.path(completeFile))
	return err == nil
}

// forget discards the data of the last run. The next start then creates empty clusters.
func (s state) forget() error {
	err := os.Remove(s.path(completeFile))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	// A start without the second cluster would not replace the data of the second cluster.
	if err = errors.Join(err, os.RemoveAll(s.path(memberDir))); err != nil {
		return fmt.Errorf("discard the data of the last run: %w", err)
	}
	return nil
}

// keep makes the next start continue with the current data of the cluster.
func (s state) keep() error { return s.write(completeFile, "") }

// errRunning is returned if another process has locked the state folder.
var errRunning = errors.New("KubeVision is running already")

// lock locks the state folder for this process. The kernel releases the lock when the process exits for any reason, so
// the lock cannot become stale.
func (s state) lock() (release func() error, err error) {
	file, err := os.OpenFile(s.path(lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock file: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return file.Close, nil
	}
	closeErr := file.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, s.runningError()
	}
	return nil, fmt.Errorf("lock the state folder: %w", errors.Join(err, closeErr))
}

func (s state) runningError() error {
	who := ""
	if pid, err := s.pid(); err == nil {
		who = fmt.Sprintf(" (process %d)", pid)
	}
	where := ""
	if endpoint, err := os.ReadFile(s.path(endpointFile)); err == nil {
		where = " at " + strings.TrimSpace(string(endpoint))
	}
	return fmt.Errorf("%w%s%s; stop it with: make stop", errRunning, where, who)
}

func (s state) pid() (int, error) {
	text, err := os.ReadFile(s.path(pidFile))
	if err != nil {
		return 0, fmt.Errorf("read the pid file: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 {
		return 0, fmt.Errorf("the pid file holds %q", text)
	}
	return pid, nil
}

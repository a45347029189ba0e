// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

const (
	// Cgroup is the name of the control group that contains all containers of the sandbox.
	Cgroup = "kubevision-e2e"

	cgroupRoot = "/sys/fs/cgroup"
	// emptyAfter bounds the time until the kernel has removed the processes of a sandbox from their control groups.
	emptyAfter = 10 * time.Second
)

// makeCgroups creates the control group for the containers of the sandbox. With cgroup v1, makeCgroups creates one such
// group in each hierarchy.
func makeCgroups() error {
	hierarchies, err := filepath.Glob(filepath.Join(cgroupRoot, "*", "cgroup.procs"))
	if err != nil {
		return fmt.Errorf("list the hierarchies of control groups: %w", err)
	}
	if _, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers")); err == nil {
		hierarchies = []string{filepath.Join(cgroupRoot, "cgroup.procs")} // cgroup v2 has a single hierarchy
	}
	for _, file := range hierarchies {
		group := filepath.Join(filepath.Dir(file), Cgroup)
		if err := os.MkdirAll(group, 0o755); err != nil {
			return fmt.Errorf("create a control group: %w", err)
		}
	}
	return nil
}

// removeCgroups removes the control groups of a sandbox that has ended. They are the only objects of a sandbox that
// remain in the kernel.
func removeCgroups() error {
	groups, err := filepath.Glob(filepath.Join(cgroupRoot, "*", Cgroup))
	if err != nil {
		return fmt.Errorf("list control groups: %w", err)
	}
	for _, group := range append(groups, filepath.Join(cgroupRoot, Cgroup)) {
		if err := removeGroup(group); err != nil {
			return err
		}
	}
	return nil
}

func removeGroup(group string) error {
	var nested []string
	err := filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && entry.IsDir() {
			nested = append(nested, path)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("list control groups: %w", err)
	}
	for _, path := range slices.Backward(nested) {
		if err := removeEmpty(path); err != nil {
			return err
		}
	}
	return nil
}

func removeEmpty(path string) error {
	for deadline := time.Now().Add(emptyAfter); ; time.Sleep(50 * time.Millisecond) {
		err := syscall.Rmdir(path)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline) {
			return fmt.Errorf("remove a control group, which another run may use: %w",
				&os.PathError{Op: "rmdir", Path: path, Err: err})
		}
	}
}

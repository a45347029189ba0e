// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestKeptData verifies that "make run" reuses the data of an earlier start only if that start was completed. The flag
// --fresh prevents the reuse.
func TestKeptData(t *testing.T) {
	t.Parallel()
	files := testState(t)
	for _, step := range []struct {
		name string
		do   func() error
		want bool
	}{
		{"a new folder", func() error { return nil }, false},
		{"a completed start", files.keep, true},
		{"its end", files.clear, true},
		{"--fresh", files.forget, false},
		{"--fresh again", files.forget, false},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if files.kept() != step.want {
			t.Errorf("after %s: kept is %v", step.name, !step.want)
		}
	}
}

// TestFreshMember verifies that the flag --fresh deletes the data of the optional second cluster.
func TestFreshMember(t *testing.T) {
	t.Parallel()
	files := testState(t)
	data := files.path(filepath.Join(memberDir, "etcd"))
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := files.forget(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("data of the second cluster: %v, want %v", err, os.ErrNotExist)
	}
}

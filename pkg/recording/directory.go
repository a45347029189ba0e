// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	suffix          = ".cast"
	partSuffix      = ".part"
	directoryMode   = 0o700
	fileMode        = 0o600
	directoryScan   = 10 * time.Second
	directoryMemory = 256 << 10
)

// directory stores recordings in a directory.
type directory struct{ path string }

// newDirectory creates the directory if it does not exist. It returns an error if no file can be created in it.
func newDirectory(path string) (*directory, error) {
	if err := os.MkdirAll(path, directoryMode); err != nil {
		return nil, fmt.Errorf("creating the directory of recordings: %w", err)
	}
	d := &directory{path}
	if err := d.check(); err != nil {
		return nil, err
	}
	return d, nil
}

func (*directory) settings() settings {
	return settings{flushBytes: flushBytes, flushInterval: flushInterval, scan: directoryScan, memory: directoryMemory}
}

func (d *directory) check() error {
	probe, err := os.CreateTemp(d.path, "probe-*"+partSuffix)
	if err != nil {
		return fmt.Errorf("writing to the directory of recordings: %w", err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

func (d *directory) create(id string) (file, error) {
	path := filepath.Join(d.path, id+suffix)
	made, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode) //nolint:gosec // the name is generated
	if err != nil {
		return nil, fmt.Errorf("creating a recording: %w", err)
	}
	return directoryFile{made}, nil
}

type directoryFile struct{ *os.File }

func (f directoryFile) finish() error { return errors.Join(f.Sync(), f.Close()) }

func (f directoryFile) discard() error { return errors.Join(f.Close(), os.Remove(f.Name())) }

func (d *directory) list(_ context.Context, visit func(fileInfo) error) (used int64, err error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return 0, fmt.Errorf("reading the directory of recordings: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // another replica has deleted the file
		}
		if err != nil {
			return 0, fmt.Errorf("reading the directory of recordings: %w", err)
		}
		used += info.Size()
		id, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok || !e.Type().IsRegular() || !ids.MatchString(id) {
			continue
		}
		if err := visit(fileInfo{id: id, bytes: info.Size(), modified: info.ModTime()}); err != nil {
			return 0, err
		}
	}
	return used, nil
}

func (d *directory) stat(_ context.Context, id string) (fileInfo, error) {
	opened, info, err := d.openFile(id)
	if err != nil {
		return fileInfo{}, err
	}
	return info, opened.Close()
}

func (d *directory) open(_ context.Context, info fileInfo) (io.ReadCloser, error) {
	opened, _, err := d.openFile(info.id)
	return opened, err
}

func (d *directory) openFile(id string) (*os.File, fileInfo, error) {
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return nil, fileInfo{}, fmt.Errorf("opening the directory of recordings: %w", err)
	}
	defer func() { _ = root.Close() }()
	opened, err := root.Open(id + suffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fileInfo{}, ErrNotFound
	}
	if err != nil {
		return nil, fileInfo{}, fmt.Errorf("opening a recording: %w", err)
	}
	info, err := opened.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, fileInfo{}, errors.Join(ErrNotFound, opened.Close())
	}
	return opened, fileInfo{id: id, bytes: info.Size(), modified: info.ModTime()}, nil
}

func (d *directory) remove(_ context.Context, info fileInfo) error {
	if err := os.Remove(filepath.Join(d.path, info.id+suffix)); err != nil {
		return fmt.Errorf("deleting a recording: %w", err)
	}
	return nil
}

func (*directory) tidy(context.Context, fileInfo) error { return nil }

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package recording

import (
	"context"
	"io"
	"time"
)

// files stores the files of recordings in a directory or a bucket, which several replicas may share.
type files interface {
	// check returns an error if files cannot be created.
	check() error
	// create starts a file. An implementation may write the file later.
	create(id string) (file, error)
	// list calls visit for each file, and returns the total size of all files. If a service does not sort its objects,
	// a file may be visited several times, each time with a part of its objects.
	list(ctx context.Context, visit func(fileInfo) error) (used int64, err error)
	// stat returns one file, or ErrNotFound.
	stat(ctx context.Context, id string) (fileInfo, error)
	// open returns the content of a file, which can be read until the context ends. The caller must close it.
	open(ctx context.Context, info fileInfo) (io.ReadCloser, error)
	// remove deletes a file.
	remove(ctx context.Context, info fileInfo) error
	// tidy deletes the pieces of a complete file.
	tidy(ctx context.Context, info fileInfo) error
	// pace returns the rate at which recordings are written.
	pace() pace
}

// file is a file that is being written.
type file interface {
	// Write appends bytes. Written bytes outlive the program.
	io.Writer
	// finish completes the file.
	finish() error
	// discard deletes the file.
	discard() error
}

// fileInfo describes a file.
type fileInfo struct {
	id       string
	bytes    int64
	modified time.Time
	// pieces is the number of the last piece of a file in a bucket that is incomplete or was completed recently. found
	// is the number of existing pieces.
	pieces, found int
	// isWhole is true if the file is complete.
	isWhole bool
}

// isDamaged returns true if a piece is missing.
func (f *fileInfo) isDamaged() bool { return !f.isWhole && f.found != f.pieces }

// merge adds the objects of another part of the same file.
func (f *fileInfo) merge(part *fileInfo) {
	if part.modified.After(f.modified) {
		f.modified = part.modified
	}
	switch {
	case part.isWhole:
		f.bytes, f.isWhole = part.bytes, true
	case !f.isWhole:
		f.bytes += part.bytes
	}
	f.pieces, f.found = max(f.pieces, part.pieces), f.found+part.found
}

// pace describes the rate at which recordings are written.
type pace struct {
	// bytes and interval bound the events that are lost if the program is killed.
	bytes    int
	interval time.Duration
	// scan is the time after which the files are measured again, because other replicas share them.
	scan time.Duration
	// memory is the memory of one recording.
	memory int64
}

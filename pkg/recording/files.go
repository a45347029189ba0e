// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package recording

import (
	"context"
	"io"
	"time"
)

// files is the storage of recordings: a directory or an S3 bucket, which several replicas may share.
type files interface {
	// check returns an error if a recording cannot be written.
	check() error
	// create starts a file for the recording with the given ID. It may succeed although the storage is not available.
	create(id string) (file, error)
	// list calls visit for each recording, and returns the total size of all files. If an S3 service does not sort the
	// objects of a bucket, list may call visit several times for one recording. Each of these calls then describes only
	// some objects of the recording.
	list(ctx context.Context, visit func(fileInfo) error) (used int64, err error)
	// stat returns the description of one recording, or ErrNotFound.
	stat(ctx context.Context, id string) (fileInfo, error)
	// open returns a reader of a recording. Reads fail after ctx ends. The caller must close the reader.
	open(ctx context.Context, info fileInfo) (io.ReadCloser, error)
	// remove deletes a recording.
	remove(ctx context.Context, info fileInfo) error
	// tidy deletes the objects with parts of a recording if another object contains the complete recording.
	tidy(ctx context.Context, info fileInfo) error
	// settings returns the values that depend on whether recordings are stored in a directory or in a bucket.
	settings() settings
}

// file is a recording that is being written.
type file interface {
	// Writer appends bytes to the recording. After a successful Write, the bytes are not lost if the program is killed.
	io.Writer
	// finish closes the file, which remains in the storage. finish must be called after the last Write.
	finish() error
	// discard closes the file and deletes it from the storage.
	discard() error
}

// fileInfo describes a stored recording.
type fileInfo struct {
	id       string
	bytes    int64
	modified time.Time
	// lastPiece is the number of the last piece in the bucket, or 0 if there are no pieces. A piece is an object with a
	// part of the recording. The first piece has the number 1.
	lastPiece int
	// found is the number of pieces that exist in the bucket. It is smaller than lastPiece if a piece is missing.
	found int
	// isWhole is true if an object in a bucket contains the complete recording.
	isWhole bool
}

// isDamaged returns true if a part of the recording is missing.
func (f *fileInfo) isDamaged() bool { return !f.isWhole && f.found != f.lastPiece }

// merge adds the properties of part to f. In a bucket, a recording may consist of several objects. f and part describe
// different objects of the same recording.
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
	f.lastPiece, f.found = max(f.lastPiece, part.lastPiece), f.found+part.found
}

// settings contains values that depend on the kind of storage: a directory or a bucket.
type settings struct {
	// flushBytes is a threshold in bytes. When the pending events of a recording reach it, they are written to the
	// storage.
	flushBytes int
	// flushInterval is the time after which the pending events of a recording are written to the storage, even if they
	// are small.
	flushInterval time.Duration
	// scan is the interval between two measurements of the size of all recordings. Measurements are repeated, because
	// other replicas may write, too.
	scan time.Duration
	// memory is an estimate of the memory that one recording in progress uses, in bytes.
	memory int64
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package recording

import (
	"io"
	"time"
)

// files keeps the files of recordings: in a directory, or in a bucket. Several replicas may share it.
type files interface {
	// check returns an error if no file can be made.
	check() error
	// create begins a file. It may write nothing yet.
	create(id string) (file, error)
	// list returns the files in any order, and the bytes of everything that is kept.
	list() (found []fileInfo, used int64, err error)
	// stat returns one file, or ErrNotFound.
	stat(id string) (fileInfo, error)
	// open returns the content of a file. The caller must close it.
	open(info fileInfo) (io.ReadCloser, error)
	// remove deletes a file.
	remove(info fileInfo) error
	// tidy deletes what is not needed any more of a file that is complete.
	tidy(info fileInfo) error
	// pace returns how recordings are written.
	pace() pace
}

// file is a file that is being written.
type file interface {
	// Write appends bytes. What it has written outlives the program.
	io.Writer
	// finish ends the file.
	finish() error
	// discard deletes it.
	discard() error
}

// fileInfo describes a file.
type fileInfo struct {
	id       string
	bytes    int64
	modified time.Time
	// pieces is the number of objects of a file in a bucket that is not complete, or was completed just now.
	pieces int
	// isWhole is true if it is complete, and isDamaged if a piece is missing.
	isWhole, isDamaged bool
}

// pace is how recordings are written.
type pace struct {
	// bytes and interval bound the events that are lost if the program is killed.
	bytes    int
	interval time.Duration
	// scan is the time after which the files are measured again, which other replicas share.
	scan time.Duration
	// memory is that of one recording.
	memory int64
}

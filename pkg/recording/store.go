// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package recording

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

const (
	// DefaultBytes is the default limit of the size of all recordings, in bytes.
	DefaultBytes = 10 << 30

	idTime = "20060102t150405"
)

// ids matches valid IDs of recordings. Only a text that matches becomes part of the name of a file or an object.
var ids = regexp.MustCompile(`^\d{8}t\d{6}-[a-z0-9]{1,64}$`)

// Options configures a Store.
type Options struct {
	// Dir is the directory in which recordings are stored. It is ignored if Bucket is set.
	Dir string
	// Bucket configures the S3 bucket in which recordings are stored. If it is nil, recordings are stored in Dir.
	Bucket *BucketOptions
	// Keys are the result of ParseKeys. The first key encrypts new recordings, and all keys decrypt. If there is no
	// key, recordings are not encrypted.
	Keys [][]byte
	// MaxBytes bounds the size of all recordings, in bytes.
	MaxBytes int64
	// MaxAge is the time for which a recording is kept after its last change. It is then deleted. Zero means that
	// recordings are not deleted.
	MaxAge time.Duration
	// Input is true if the input of users is recorded as well. Input may contain passwords.
	Input bool
}

// Store stores and reads recordings.
type Store struct {
	options Options
	files   files

	// cleaning is locked while recordings are deleted in the background.
	cleaning sync.Mutex

	mu sync.Mutex
	// used is the size of all recordings in bytes. It is set by each measurement, and changes with the writes and
	// deletions of this process.
	used int64
	// written is the number of bytes of recordings that this process has written since its start.
	written int64
	// measured is the time of the last measurement of the size of all recordings.
	measured time.Time
	// measuring is the measurement that is in progress, or nil. A measurement determines the size of all recordings.
	measuring *measurement
}

// NewStore returns a Store. It returns an error if the directory cannot be written. If the bucket cannot be written,
// NewStore only logs the error, because the bucket may become available later.
func NewStore(o Options) (*Store, error) {
	s := &Store{options: o}
	if o.Bucket == nil {
		d, err := newDirectory(o.Dir)
		s.files = d
		return s, err
	}
	b, err := newBucket(o.Bucket)
	if err != nil {
		return nil, err
	}
	s.files = b
	if err := b.check(); err != nil {
		klog.Background().Error(err, "Terminals cannot be recorded, and are refused", "bucket", o.Bucket.Name)
	}
	return s, nil
}

// RecordsInput returns true if the input of users is recorded as well.
func (s *Store) RecordsInput() bool { return s.options.Input }

// Memory returns the memory that one recording in progress uses, in bytes.
func (s *Store) Memory() int64 { return s.files.settings().memory }

// Check returns an error if a new recording could not be written now. Terminals are opened only if it returns nil.
func (s *Store) Check(ctx context.Context) error {
	if err := s.measure(ctx, time.Now()); err != nil {
		return err
	}
	if err := s.count(MaxHeaderBytes); err != nil {
		return err
	}
	return s.count(-MaxHeaderBytes)
}

// Begin starts the recording of a terminal session. It returns an error if the recording cannot be written.
func (s *Store) Begin(t Terminal) (*Recording, error) {
	r := &Recording{store: s, terminal: t, rests: map[string][]byte{}, settings: s.files.settings()}
	if err := r.begin(); err != nil {
		return nil, err
	}
	return r, nil
}

// newID returns a new ID, which begins with the current time. Sorting recordings by ID therefore sorts them by time.
func newID(now time.Time) string {
	return now.UTC().Format(idTime) + "-" + strings.ToLower(rand.Text())
}

// Summary describes one recording.
type Summary struct {
	Terminal

	// ID identifies the recording.
	ID string
	// Began is the time at which the recording began.
	Began time.Time
	// Duration is the time from Began to the last write.
	Duration time.Duration
	// Expires is the time at which the recording is deleted, or zero if it is not deleted.
	Expires time.Time
	// Bytes is the size of the stored recording.
	Bytes int64
	// Encrypted is true if the recording is encrypted with a configured key. A recording that is not encrypted could
	// have been changed by anyone who can write to the directory or bucket.
	Encrypted bool
}

// listedBytes is the memory of an element of a list of recordings, in bytes.
const listedBytes = 256

// List returns a page of the recordings, the newest first, and the number of all recordings. offset is the number of
// recordings before the page, and limit is the maximum length of the page. The Summary of a recording that cannot be
// read contains only the ID. List charges its memory to the budget.Account in ctx.
func (s *Store) List(ctx context.Context, offset, limit int) ([]Summary, int, error) {
	all, account := []fileInfo{}, budget.AccountFrom(ctx)
	_, err := s.files.list(ctx, func(f fileInfo) error {
		all = append(all, f)
		return account.Take(listedBytes)
	})
	if err != nil {
		return nil, 0, err //nolint:wrapcheck // as it is
	}
	slices.SortStableFunc(all, func(a, b fileInfo) int { return cmp.Compare(b.id, a.id) })
	all = merged(all)
	var out []Summary
	for _, f := range all[min(offset, len(all)):min(offset+limit, len(all))] {
		summary, err := s.summary(ctx, f)
		switch {
		case errors.Is(err, ErrNotFound):
			continue // the recording was deleted
		case ctx.Err() != nil:
			return nil, 0, fmt.Errorf("listing recordings: %w", context.Cause(ctx))
		case err != nil:
			summary = Summary{ID: f.id} // its existence is known already
		}
		if err := account.Take(summary.memory()); err != nil {
			return nil, 0, err //nolint:wrapcheck // as it is
		}
		out = append(out, summary)
	}
	return out, len(all), nil
}

// merged returns one element for each recording. In a bucket, a recording may consist of several objects. Therefore,
// files may contain several elements with the same ID, which must be adjacent.
func merged(files []fileInfo) []fileInfo {
	out := files[:0]
	for i := range files {
		if n := len(out); n > 0 && out[n-1].id == files[i].id {
			out[n-1].merge(&files[i])
			continue
		}
		out = append(out, files[i])
	}
	return out
}

// memory returns the memory of the Summary and its JSON, in bytes.
func (s *Summary) memory() int64 {
	const copies, escaped = 2, 6
	size := len(s.User) + len(s.Cluster) + len(s.Namespace) + len(s.Pod) + len(s.Container) + len(s.Verb)
	for _, word := range s.Command {
		size += len(word) + listedBytes/16
	}
	return int64(listedBytes + size*(1+copies*escaped))
}

// Get returns the Summary of a recording. It returns ErrNotFound if there is no recording with the ID.
func (s *Store) Get(ctx context.Context, id string) (Summary, error) {
	info, err := s.stat(ctx, id)
	if err != nil {
		return Summary{}, err
	}
	return s.summary(ctx, info)
}

func (s *Store) stat(ctx context.Context, id string) (fileInfo, error) {
	if !ids.MatchString(id) {
		return fileInfo{}, ErrNotFound
	}
	return s.files.stat(ctx, id) //nolint:wrapcheck // as it is
}

func (s *Store) summary(ctx context.Context, info fileInfo) (Summary, error) {
	text, err := s.read(ctx, info)
	if err != nil {
		return Summary{}, err
	}
	defer func() { _ = text.Close() }()
	line, err := bufio.NewReaderSize(io.LimitReader(text, MaxHeaderBytes+1), MaxHeaderBytes+1).ReadSlice('\n')
	if err != nil {
		return Summary{}, ErrUnreadable
	}
	var h header
	if err := json.Unmarshal(bytes.TrimSpace(line), &h); err != nil {
		return Summary{}, ErrUnreadable
	}
	out := Summary{Terminal: h.KubeVision, ID: info.id, Began: time.Unix(h.Timestamp, 0).UTC(), Bytes: info.bytes}
	_, out.Encrypted = text.Reader.(*opened)
	out.Duration = max(0, info.modified.Sub(out.Began).Truncate(time.Millisecond))
	if s.options.MaxAge > 0 {
		out.Expires = info.modified.Add(s.options.MaxAge).UTC()
	}
	return out, nil
}

// Open returns a reader of the decrypted recording. If the recording is in progress, the reader ends with the events
// that were written so far. Reads fail after ctx ends. The caller must close the reader.
func (s *Store) Open(ctx context.Context, id string) (io.ReadCloser, error) {
	info, err := s.stat(ctx, id)
	if err != nil {
		return nil, err
	}
	text, err := s.read(ctx, info)
	if err != nil {
		return nil, err
	}
	return text, nil
}

// recorded is a reader of a decrypted recording.
type recorded struct {
	io.Reader
	io.Closer
}

func (s *Store) read(ctx context.Context, info fileInfo) (*recorded, error) {
	if info.isDamaged() {
		return nil, fmt.Errorf("%w: a piece is missing", ErrUnreadable)
	}
	content, err := s.files.open(ctx, info)
	if err != nil {
		return nil, err //nolint:wrapcheck // as it is
	}
	text, err := open(content, s.options.Keys, info.id)
	if err != nil {
		return nil, errors.Join(err, content.Close())
	}
	return &recorded{text, content}, nil
}

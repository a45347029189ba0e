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
	// DefaultBytes is the default limit of the bytes of all recordings.
	DefaultBytes = 10 << 30

	idTime = "20060102t150405"
)

// ids matches ids of recordings. No other text becomes part of a path.
var ids = regexp.MustCompile(`^\d{8}t\d{6}-[a-z0-9]{1,64}$`)

// Options configure a Store.
type Options struct {
	// Dir is the directory of the recordings. It is ignored if Bucket is set.
	Dir string
	// Bucket is the bucket of the recordings. If it is nil, the recordings are in Dir.
	Bucket *BucketOptions
	// Keys encrypt the recordings. If there are none, the recordings are not encrypted. See ParseKeys.
	Keys [][]byte
	// MaxBytes bounds the bytes of all recordings.
	MaxBytes int64
	// MaxAge is the age after which a recording is deleted. Zero means never.
	MaxAge time.Duration
	// Input is true if input is recorded, too, including passwords.
	Input bool
}

// Store stores recordings.
type Store struct {
	options Options
	files   files

	// cleaning is held while old files are deleted.
	cleaning sync.Mutex

	mu sync.Mutex
	// used is the number of bytes of all recordings. taken is the number of bytes that this replica has written.
	used, taken int64
	measured    time.Time
	// running is the measurement that is under way, or nil.
	running *measurement
}

// NewStore returns a store. It returns an error if the directory cannot be written. If a bucket cannot be written, it
// only logs the error, because the bucket need not be available at the start: no terminal opens without it.
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

// RecordsInput returns true if the input of terminals is recorded, too.
func (s *Store) RecordsInput() bool { return s.options.Input }

// Memory returns the memory of one recording in progress, in bytes.
func (s *Store) Memory() int64 { return s.files.pace().memory }

// Check returns an error if no recording can be made now.
func (s *Store) Check(ctx context.Context) error {
	if err := s.measure(ctx, time.Now()); err != nil {
		return err
	}
	if err := s.count(MaxHeaderBytes); err != nil {
		return err
	}
	return s.count(-MaxHeaderBytes)
}

// Begin starts a recording.
func (s *Store) Begin(t Terminal) (*Recording, error) {
	r := &Recording{store: s, terminal: t, rests: map[string][]byte{}, pace: s.files.pace()}
	if err := r.begin(); err != nil {
		return nil, err
	}
	return r, nil
}

// newID returns the id of a recording that starts at the given time.
func newID(now time.Time) string {
	return now.UTC().Format(idTime) + "-" + strings.ToLower(rand.Text())
}

// Summary describes a recording.
type Summary struct {
	Terminal

	ID    string
	Began time.Time
	// Duration is the time from the beginning to the last event that was written.
	Duration time.Duration
	// Expires is the time at which the recording is deleted. Zero means never.
	Expires time.Time
	Bytes   int64
	// Encrypted is true if one of the keys encrypts the recording. Anyone who may write files can change others.
	Encrypted bool
}

// listedBytes is the memory of a file while files are listed.
const listedBytes = 256

// List returns some of the recordings, the newest first, and the total number. Of unreadable recordings it returns only
// the id. The account of the context is charged for the files.
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

// merged joins the parts of the same file, which are neighbors.
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

// memory returns the memory of a summary and of its JSON.
func (s *Summary) memory() int64 {
	const copies, escaped = 2, 6
	size := len(s.User) + len(s.Cluster) + len(s.Namespace) + len(s.Pod) + len(s.Container) + len(s.Verb)
	for _, word := range s.Command {
		size += len(word) + listedBytes/16
	}
	return int64(listedBytes + size*(1+copies*escaped))
}

// Get returns the summary of a recording.
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

// Open returns a reader of the text of a recording, even if the recording is in progress. It can be read until the
// context ends. The caller must close it.
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

// recorded is the text of a recording.
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

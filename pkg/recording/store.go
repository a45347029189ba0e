// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package recording

import (
	"bufio"
	"bytes"
	"cmp"
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
)

const (
	// DefaultBytes is the default limit of the bytes of all recordings.
	DefaultBytes = 10 << 30

	idTime = "20060102t150405"
	// staleScans bounds the age of the last measurement, as a multiple of the interval between two measurements.
	staleScans = 5
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

	// measuring is locked while the files are measured.
	measuring sync.Mutex
	mu        sync.Mutex
	// used is the size of all recordings. taken is the size of those that this replica has written since.
	used, taken int64
	measured    time.Time
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

// Input returns true if the input of terminals is recorded, too.
func (s *Store) Input() bool { return s.options.Input }

// Memory returns the memory of one recording in progress, in bytes.
func (s *Store) Memory() int64 { return s.files.pace().memory }

// Check returns an error if no recording can be created.
func (s *Store) Check() error {
	if err := s.take(MaxHeaderBytes); err != nil {
		return err
	}
	s.take(-MaxHeaderBytes) //nolint:errcheck // there is more room than before
	return nil
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

// take counts bytes of recordings.
func (s *Store) take(n int64) error {
	if err := s.measure(time.Now()); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used+n > s.options.MaxBytes {
		return ErrFull
	}
	s.used += n
	s.taken += n
	return nil
}

// measure counts the bytes of the files and deletes old ones, unless this was done recently. It waits for the result
// only if the last one is too old.
func (s *Store) measure(now time.Time) error {
	interval := s.files.pace().scan
	s.mu.Lock()
	age := now.Sub(s.measured)
	s.mu.Unlock()
	switch {
	case age < interval:
		return nil
	case age > staleScans*interval:
		s.measuring.Lock()
		defer s.measuring.Unlock()
		return s.scan(now)
	case s.measuring.TryLock():
		go func() {
			defer s.measuring.Unlock()
			if err := s.scan(now); err != nil {
				klog.Background().Error(err, "The recordings of terminals cannot be measured")
			}
		}()
	}
	return nil
}

func (s *Store) scan(now time.Time) error {
	s.mu.Lock()
	before, fresh := s.taken, now.Sub(s.measured) < s.files.pace().scan
	s.mu.Unlock()
	if fresh { // another goroutine has measured in the meantime
		return nil
	}
	found, used, err := s.files.list()
	if err != nil {
		return err //nolint:wrapcheck // as it is
	}
	for _, f := range found {
		isOld := s.options.MaxAge > 0 && now.Sub(f.modified) > s.options.MaxAge
		clean := s.files.tidy
		if isOld {
			clean = s.files.remove
		}
		if err := clean(f); err != nil {
			klog.Background().Error(err, "A recording of a terminal cannot be deleted", "recording", f.id)
		} else if isOld {
			used -= f.bytes
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used, s.measured = used+s.taken-before, now
	return nil
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
}

// List returns some of the recordings, the newest first, and the total number. Of unreadable recordings it returns only
// the id.
func (s *Store) List(offset, limit int) ([]Summary, int, error) {
	all, _, err := s.files.list()
	if err != nil {
		return nil, 0, err //nolint:wrapcheck // as it is
	}
	slices.SortFunc(all, func(a, b fileInfo) int { return cmp.Compare(b.id, a.id) })
	var out []Summary
	for _, f := range all[min(offset, len(all)):min(offset+limit, len(all))] {
		summary, err := s.summary(f)
		if errors.Is(err, ErrNotFound) {
			continue // the recording was deleted
		}
		if err != nil {
			summary = Summary{ID: f.id} // its existence is known already
		}
		out = append(out, summary)
	}
	return out, len(all), nil
}

// Get returns the summary of a recording.
func (s *Store) Get(id string) (Summary, error) {
	info, err := s.stat(id)
	if err != nil {
		return Summary{}, err
	}
	return s.summary(info)
}

func (s *Store) stat(id string) (fileInfo, error) {
	if !ids.MatchString(id) {
		return fileInfo{}, ErrNotFound
	}
	return s.files.stat(id) //nolint:wrapcheck // as it is
}

func (s *Store) summary(info fileInfo) (Summary, error) {
	text, err := s.read(info)
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
	out.Duration = max(0, info.modified.Sub(out.Began).Truncate(time.Millisecond))
	if s.options.MaxAge > 0 {
		out.Expires = info.modified.Add(s.options.MaxAge).UTC()
	}
	return out, nil
}

// Open returns the content of a recording, which may be in progress. The caller must close it.
func (s *Store) Open(id string) (io.ReadCloser, error) {
	info, err := s.stat(id)
	if err != nil {
		return nil, err
	}
	return s.read(info)
}

func (s *Store) read(info fileInfo) (io.ReadCloser, error) {
	if info.isDamaged && !info.isWhole {
		return nil, fmt.Errorf("%w: a piece is missing", ErrUnreadable)
	}
	content, err := s.files.open(info)
	if err != nil {
		return nil, err //nolint:wrapcheck // as it is
	}
	text, err := open(content, s.options.Keys)
	if err != nil {
		return nil, errors.Join(err, content.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{text, content}, nil
}

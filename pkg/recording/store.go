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
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// DefaultBytes is the default of the bytes of all recordings.
	DefaultBytes = 10 << 30

	suffix      = ".cast"
	partSuffix  = ".part"
	directories = 0o700
	files       = 0o600
	// scanInterval is the time after which the directory is measured again, which other replicas share.
	scanInterval = 10 * time.Second
	idTime       = "20060102t150405"
)

// Options configure a Store.
type Options struct {
	// Dir is the directory of the recordings.
	Dir string
	// Keys encrypt the recordings, unless there are none. See ParseKeys.
	Keys [][]byte
	// MaxBytes bounds the bytes of all recordings.
	MaxBytes int64
	// MaxAge is the age after which a recording is deleted. Zero means never.
	MaxAge time.Duration
	// Input is true if input is recorded as well, passwords included.
	Input bool
}

// Store holds the recordings of a directory.
type Store struct {
	options Options

	mu      sync.Mutex
	used    int64
	scanned time.Time
}

// NewStore returns a store, and an error if the directory cannot be written.
func NewStore(o Options) (*Store, error) {
	if err := os.MkdirAll(o.Dir, directories); err != nil {
		return nil, fmt.Errorf("making the directory of recordings: %w", err)
	}
	probe, err := os.CreateTemp(o.Dir, "probe-*"+partSuffix)
	if err != nil {
		return nil, fmt.Errorf("writing to the directory of recordings: %w", err)
	}
	return &Store{options: o}, errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// Input returns whether what is typed is recorded as well.
func (s *Store) Input() bool { return s.options.Input }

// Check returns an error if no recording can be made now.
func (s *Store) Check() error {
	if err := s.take(MaxHeaderBytes); err != nil {
		return err
	}
	s.take(-MaxHeaderBytes) //nolint:errcheck // there is more room than before
	return nil
}

// Begin begins a recording. An error means that there is none.
func (s *Store) Begin(t Terminal) (*Recording, error) {
	r := &Recording{store: s, terminal: t, rests: map[string][]byte{}}
	if err := r.begin(); err != nil {
		return nil, err
	}
	return r, nil
}

// create makes the file of a recording.
func (s *Store) create(now time.Time) (*os.File, error) {
	id := now.UTC().Format(idTime) + "-" + strings.ToLower(rand.Text())
	path := filepath.Join(s.options.Dir, id+suffix)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, files) //nolint:gosec // the name is made here
	if err != nil {
		return nil, fmt.Errorf("making a recording: %w", err)
	}
	return file, nil
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
	return nil
}

// measure counts the bytes of the directory, and deletes old recordings, unless it has just done so.
func (s *Store) measure(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.scanned) < scanInterval {
		return nil
	}
	entries, err := os.ReadDir(s.options.Dir)
	if err != nil {
		return fmt.Errorf("reading the directory of recordings: %w", err)
	}
	used := int64(0)
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // another replica has deleted it
		}
		if err != nil {
			return fmt.Errorf("reading the directory of recordings: %w", err)
		}
		if isRecording(e) && s.options.MaxAge > 0 && now.Sub(info.ModTime()) > s.options.MaxAge {
			if err := os.Remove(filepath.Join(s.options.Dir, e.Name())); err == nil {
				continue
			}
		}
		used += info.Size()
	}
	s.used, s.scanned = used, now
	return nil
}

func isRecording(e fs.DirEntry) bool {
	return e.Type().IsRegular() && strings.HasSuffix(e.Name(), suffix)
}

// Summary describes a recording.
type Summary struct {
	Terminal

	ID    string
	Began time.Time
	// Duration is the time from the beginning to the last event that was written.
	Duration time.Duration
	// Expires is the time at which the recording is deleted; zero means never.
	Expires time.Time
	Bytes   int64
}

// List returns some of the recordings, the last one first, and the number of all. It skips those that cannot be read.
func (s *Store) List(offset, limit int) ([]Summary, int, error) {
	entries, err := os.ReadDir(s.options.Dir)
	if err != nil {
		return nil, 0, fmt.Errorf("reading the directory of recordings: %w", err)
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return !isRecording(e) })
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(b.Name(), a.Name()) })
	var out []Summary
	for _, e := range entries[min(offset, len(entries)):min(offset+limit, len(entries))] {
		id := strings.TrimSuffix(e.Name(), suffix)
		summary, err := s.Get(id)
		if errors.Is(err, ErrNotFound) {
			continue // it was deleted
		}
		if err != nil {
			summary = Summary{ID: id} // that it exists is known anyway
		}
		out = append(out, summary)
	}
	return out, len(entries), nil
}

// ids are those of recordings. No other text becomes part of a path.
var ids = regexp.MustCompile(`^\d{8}t\d{6}-[a-z0-9]{1,64}$`)

// Get returns the summary of a recording.
func (s *Store) Get(id string) (Summary, error) {
	file, info, err := s.open(id)
	if err != nil {
		return Summary{}, err
	}
	defer func() { _ = file.Close() }()
	text, err := open(file, s.options.Keys)
	if err != nil {
		return Summary{}, err
	}
	line, err := bufio.NewReaderSize(io.LimitReader(text, MaxHeaderBytes+1), MaxHeaderBytes+1).ReadSlice('\n')
	if err != nil {
		return Summary{}, ErrUnreadable
	}
	var h header
	if err := json.Unmarshal(bytes.TrimSpace(line), &h); err != nil {
		return Summary{}, ErrUnreadable
	}
	out := Summary{Terminal: h.KubeVision, ID: id, Began: time.Unix(h.Timestamp, 0).UTC(), Bytes: info.Size()}
	out.Duration = max(0, info.ModTime().Sub(out.Began).Truncate(time.Millisecond))
	if s.options.MaxAge > 0 {
		out.Expires = info.ModTime().Add(s.options.MaxAge).UTC()
	}
	return out, nil
}

// Open returns the text of a recording, which may still be made. The caller must close it.
func (s *Store) Open(id string) (io.ReadCloser, error) {
	file, _, err := s.open(id)
	if err != nil {
		return nil, err
	}
	text, err := open(file, s.options.Keys)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{text, file}, nil
}

func (s *Store) open(id string) (*os.File, fs.FileInfo, error) {
	if !ids.MatchString(id) {
		return nil, nil, ErrNotFound
	}
	root, err := os.OpenRoot(s.options.Dir)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the directory of recordings: %w", err)
	}
	defer func() { _ = root.Close() }()
	file, err := root.Open(id + suffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, ErrNotFound
	}
	if err != nil {
		return nil, nil, fmt.Errorf("opening a recording: %w", err)
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, nil, errors.Join(ErrNotFound, file.Close())
	}
	return file, info, nil
}

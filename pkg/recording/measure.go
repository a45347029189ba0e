// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package recording

import (
	"context"
	"fmt"
	"time"

	"k8s.io/klog/v2"
)

const (
	// staleScans is how many times the interval between two measurements the last one may be old.
	staleScans = 5
	// maxCleaned bounds the files that are deleted after one measurement.
	maxCleaned = 10_000
	// cleanPatience is how long a measurement waits for the end of the deletion, and cleanTime bounds the deletion.
	cleanPatience = time.Second
	cleanTime     = 10 * time.Minute
)

// measurement is one measurement of the files.
type measurement struct {
	done chan struct{}
	// err is its error, after done is closed.
	err error
}

// take counts bytes of recordings.
func (s *Store) take(n int64) error {
	if err := s.measure(context.Background(), time.Now()); err != nil {
		return err
	}
	return s.count(n)
}

func (s *Store) count(n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > 0 && n > s.options.MaxBytes-s.used {
		return ErrFull
	}
	s.used += n
	s.taken += n
	return nil
}

// measure counts the bytes of the files, and deletes old ones, unless this was done a short time ago. It waits for the
// result only if the last one is too old. All callers wait for the same measurement.
func (s *Store) measure(ctx context.Context, now time.Time) error {
	interval := s.files.pace().scan
	s.mu.Lock()
	age, m := now.Sub(s.measured), s.running
	if age >= interval && m == nil {
		m = &measurement{done: make(chan struct{})}
		s.running = m
		go s.run(m, now) //nolint:contextcheck // others wait for it, too
	}
	s.mu.Unlock()
	if age <= staleScans*interval {
		return nil
	}
	select {
	case <-m.done:
		return m.err
	case <-ctx.Done():
		return fmt.Errorf("measuring the recordings: %w", context.Cause(ctx))
	}
}

func (s *Store) run(m *measurement, now time.Time) {
	old, err := s.scan(now)
	if err != nil {
		klog.Background().Error(err, "The recordings of terminals cannot be measured")
	} else if len(old) > 0 {
		s.cleanUp(old)
	}
	s.mu.Lock()
	s.running = nil
	s.mu.Unlock()
	m.err = err
	close(m.done)
}

// scan measures the files. It returns the old files, and the complete files with pieces that can be deleted.
func (s *Store) scan(now time.Time) (unneeded []fileInfo, err error) {
	s.mu.Lock()
	before := s.taken
	s.mu.Unlock()
	used, err := s.files.list(context.Background(), func(f fileInfo) error {
		if (s.isOld(&f, now) || f.isWhole && f.pieces > 0) && len(unneeded) < maxCleaned {
			unneeded = append(unneeded, f)
		}
		return nil
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // as it is
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used, s.measured = used+s.taken-before, now
	return unneeded, nil
}

func (s *Store) isOld(f *fileInfo, now time.Time) bool {
	return s.options.MaxAge > 0 && now.Sub(f.modified) > s.options.MaxAge
}

// cleanUp deletes files in the background. It waits for at most cleanPatience, so that a slow bucket does not stop
// terminals.
func (s *Store) cleanUp(unneeded []fileInfo) {
	if !s.cleaning.TryLock() {
		return
	}
	s.mu.Lock()
	now := s.measured
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer s.cleaning.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), cleanTime)
		defer cancel()
		failed := 0
		for i := range unneeded {
			if ctx.Err() != nil {
				break
			}
			if err := s.clean(ctx, &unneeded[i], now); err != nil {
				failed++
				if failed == 1 { // of many failures, the first one is enough
					klog.Background().Error(err, "A recording of a terminal cannot be deleted",
						"recording", unneeded[i].id)
				}
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(cleanPatience):
	}
}

// clean deletes an old file, or the pieces of a complete file. measured is the time at which the files were measured.
func (s *Store) clean(ctx context.Context, f *fileInfo, measured time.Time) error {
	if !s.isOld(f, measured) {
		return s.files.tidy(ctx, *f) //nolint:wrapcheck // it is logged
	}
	if err := s.files.remove(ctx, *f); err != nil {
		return err //nolint:wrapcheck // as above
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.measured.Equal(measured) { // A later measurement has already counted the deletion.
		s.used -= f.bytes
	}
	return nil
}

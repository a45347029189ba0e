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
	// staleScans determines when the measured size of all recordings is too old to be used. The maximum age is
	// staleScans multiplied by settings.scan, the interval between two measurements.
	staleScans = 5
	// maxCleaned bounds the number of old recordings that are deleted at a time.
	maxCleaned = 10_000
	// cleanPatience is the time for which cleanUp waits for the deletion of old recordings. After this time, the
	// deletion continues in the background.
	cleanPatience = time.Second
	// cleanTime bounds the time for the deletion of old recordings. After this time, the deletion stops, even if it is
	// not complete.
	cleanTime = 10 * time.Minute
)

// measurement is an operation in progress that measures the size of all recordings.
type measurement struct {
	done chan struct{}
	// err is the result, and is valid after done is closed.
	err error
}

// take adds n bytes to the size of all recordings. It returns ErrFull if the size would exceed the limit, and an error
// if the size could not be measured.
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
	s.written += n
	return nil
}

// measure updates the measured size of all recordings, depending on the age of the last measurement:
//
//   - If the age is less than settings.scan, measure does nothing.
//   - If the age is at least settings.scan, measure starts a new measurement in the background, unless one is in
//     progress. It does not wait for the result.
//   - If the age is more than staleScans*settings.scan, measure also waits for the measurement in progress, and returns
//     the error of the measurement.
func (s *Store) measure(ctx context.Context, now time.Time) error {
	interval := s.files.settings().scan
	s.mu.Lock()
	age, m := now.Sub(s.measured), s.measuring
	if age >= interval && m == nil {
		m = &measurement{done: make(chan struct{})}
		s.measuring = m
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
	s.measuring = nil
	s.mu.Unlock()
	m.err = err
	close(m.done)
}

// scan measures the size of all recordings. It returns the recordings from which cleanUp must delete data.
func (s *Store) scan(now time.Time) (toClean []fileInfo, err error) {
	s.mu.Lock()
	before := s.written
	s.mu.Unlock()
	used, err := s.files.list(context.Background(), func(f fileInfo) error {
		// If one object contains the complete recording, the other objects with parts of it are not needed.
		if (s.isOld(&f, now) || f.isWhole && f.lastPiece > 0) && len(toClean) < maxCleaned {
			toClean = append(toClean, f)
		}
		return nil
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // as it is
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// The listed sizes may not include the bytes that this process has written since the beginning of the measurement.
	s.used, s.measured = used+s.written-before, now
	return toClean, nil
}

func (s *Store) isOld(f *fileInfo, now time.Time) bool {
	return s.options.MaxAge > 0 && now.Sub(f.modified) > s.options.MaxAge
}

// cleanUp starts calls of clean for the given recordings, and waits at most cleanPatience until the calls end. Calls
// that need more time continue in the background. cleanUp does nothing while the calls of an earlier cleanUp continue.
func (s *Store) cleanUp(toClean []fileInfo) {
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
		for i := range toClean {
			if ctx.Err() != nil {
				break
			}
			if err := s.clean(ctx, &toClean[i], now); err != nil {
				failed++
				if failed == 1 { // of many failures, the first one is enough
					klog.Background().Error(err, "A recording of a terminal cannot be deleted",
						"recording", toClean[i].id)
				}
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(cleanPatience): // new terminal sessions may wait for this function
	}
}

func (s *Store) clean(ctx context.Context, f *fileInfo, scanTime time.Time) error {
	if !s.isOld(f, scanTime) {
		return s.files.tidy(ctx, *f) //nolint:wrapcheck // it is logged
	}
	if err := s.files.remove(ctx, *f); err != nil {
		return err //nolint:wrapcheck // as above
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.measured.Equal(scanTime) { // a later measurement may already include the deletion
		s.used -= f.bytes
	}
	return nil
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import "slices"

const heldMemoryDivisor = 8

// holdList contains the holds of a store. A hold is a response in progress that uses a Snapshot of the store. The lock
// of the store guards the holdList.
type holdList struct {
	all           []*hold
	replacedBytes int64
}

// hold is a response in progress, which keeps the objects of a Snapshot in memory even after the store has replaced
// them.
type hold struct {
	replacedBytesOfSnapshot int64
	drop                    func()
}

// Hold registers a response that uses the objects of v. At the end of the response, the caller must call release. The
// cache calls drop to end the response early. The function drop must not block.
func (v View) Hold(drop func()) (release func()) {
	s := v.store
	if s == nil {
		return func() {}
	}
	h := &hold{replacedBytesOfSnapshot: v.replacedBytesAtCreation, drop: drop}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		drop()
		return func() {}
	}
	s.holds.all = append(s.holds.all, h)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.holds.remove(h)
		s.account.setHeld(s.holds.heldBytes())
	}
}

func (h *holdList) remove(one *hold) {
	if i := slices.Index(h.all, one); i >= 0 {
		h.all = slices.Delete(h.all, i, i+1)
	}
}

// oldest returns the response in progress with the oldest Snapshot, or nil if there are no responses in progress.
func (h *holdList) oldest() *hold {
	var out *hold // replacedBytes only grows, so that an older Snapshot has a smaller value.
	for _, one := range h.all {
		if out == nil || one.replacedBytesOfSnapshot < out.replacedBytesOfSnapshot {
			out = one
		}
	}
	return out
}

func (h *holdList) heldBytes() int64 {
	// This is an upper bound: the size of all data that the store has replaced since the creation of the oldest
	// Snapshot in use.
	if oldest := h.oldest(); oldest != nil {
		return h.replacedBytes - oldest.replacedBytesOfSnapshot
	}
	return 0
}

// limitHeld ends responses until s.holds.heldBytes() is at most maxBytes. The caller must hold the lock of the store.
func (s *store) limitHeld(maxBytes int64) {
	if len(s.holds.all) == 0 {
		return
	}
	for s.holds.heldBytes() > maxBytes {
		s.dropOldest() // it keeps the most data
	}
	s.account.setHeld(s.holds.heldBytes())
}

// dropOldest ends the response in progress that uses the oldest Snapshot. There must be at least one response in
// progress. The caller must hold the lock.
func (s *store) dropOldest() {
	oldest := s.holds.oldest()
	s.holds.remove(oldest)
	oldest.drop()
	droppedAnswers.Inc()
}

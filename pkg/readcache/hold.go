// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import "slices"

// holdPart limits the memory of old objects that only responses in progress still use. For each resource, the limit is
// 1/holdPart of the memory limit of the cache.
const holdPart = 8

// holds contains the responses in progress that were created from snapshots of a store. The lock of the store guards
// it.
type holds struct {
	all []*hold
	// replacedBytes is a running total of the data that the store has replaced, in bytes: objects, compressed JSON and
	// summaries. The total never decreases, even if the replaced data are freed.
	replacedBytes int64
}

// hold is a response in progress, which keeps the objects of a Snapshot in memory even after the store has replaced
// them.
type hold struct {
	// replacedBefore is the value of the counter holds.replacedBytes when the Snapshot of the response was created. The
	// value is smaller for an older Snapshot.
	replacedBefore int64
	drop           func()
}

// Hold registers a response that uses the objects of the view. The caller must call release when the response ends. The
// cache may call drop to free memory, or because the resource is no longer cached. The function drop must end all use
// of the objects, and must not block.
func (v View) Hold(drop func()) (release func()) {
	s := v.store
	if s == nil {
		return func() {}
	}
	h := &hold{replacedBefore: v.replacedBytes, drop: drop}
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
		s.account.hold(s.holds.memory())
	}
}

func (h *holds) remove(one *hold) {
	if i := slices.Index(h.all, one); i >= 0 {
		h.all = slices.Delete(h.all, i, i+1)
	}
}

// oldest returns the response in progress with the oldest Snapshot, or nil if there are no responses in progress.
func (h *holds) oldest() *hold {
	var out *hold
	for _, one := range h.all {
		if out == nil || one.replacedBefore < out.replacedBefore {
			out = one
		}
	}
	return out
}

// memory returns an upper bound of the memory of old data that only responses in progress still use, in bytes.
func (h *holds) memory() int64 {
	// This is the size of all data that the store has replaced since the creation of the oldest Snapshot in use.
	if oldest := h.oldest(); oldest != nil {
		return h.replacedBytes - oldest.replacedBefore
	}
	return 0
}

// dropHolds ends responses in progress until the remaining responses keep at most maxMemory bytes of old data in
// memory. The caller must hold the lock of the store.
func (s *store) dropHolds(maxMemory int64) {
	if len(s.holds.all) == 0 {
		return
	}
	for s.holds.memory() > maxMemory {
		s.dropOldest() // it keeps the most data
	}
	s.account.hold(s.holds.memory())
}

// dropOldest ends the response in progress that uses the oldest Snapshot. There must be at least one response in
// progress. The caller must hold the lock.
func (s *store) dropOldest() {
	oldest := s.holds.oldest()
	s.holds.remove(oldest)
	oldest.drop()
	droppedAnswers.Inc()
}

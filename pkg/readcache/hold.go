// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import "slices"

// holdPart bounds the memory of the replaced objects of one resource. The store no longer contains these objects, but
// responses in progress still do. The bound is the memory limit of the cache, divided by holdPart.
const holdPart = 8

// holds contains the responses in progress that were created from snapshots of a store. The lock of the store guards
// it.
type holds struct {
	all []*hold
	// replacedBytes is the memory of everything that the store has ever replaced, in bytes: objects, compressed JSON
	// and summaries.
	replacedBytes int64
}

// hold is a response in progress that uses the objects of a Snapshot. The store may have replaced some of these objects
// in the meantime.
type hold struct {
	// startBytes is the value of holds.replacedBytes when the store created the Snapshot. The increase of replacedBytes
	// since then is an upper bound of the memory of the replaced objects in the response.
	startBytes int64
	drop       func()
}

// Hold registers a response in progress that uses the objects of the view. The caller must call release() when the
// response ends. The cache calls drop() if the store replaces too many of these objects before the response ends, or if
// the resource is no longer cached. drop() must end all use of the objects, and must not block.
func (v View) Hold(drop func()) (release func()) {
	s := v.store
	if s == nil {
		return func() {}
	}
	h := &hold{startBytes: v.replacedBytes, drop: drop}
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

// oldest returns the response that uses the oldest Snapshot, or nil if there is no response.
func (h *holds) oldest() *hold {
	var out *hold
	for _, one := range h.all {
		if out == nil || one.startBytes < out.startBytes {
			out = one
		}
	}
	return out
}

// memory returns an upper bound of the memory that only responses in progress use, in bytes. This is the memory of
// everything that the store has replaced since it created the oldest Snapshot that a response uses.
func (h *holds) memory() int64 {
	if oldest := h.oldest(); oldest != nil {
		return h.replacedBytes - oldest.startBytes
	}
	return 0
}

// dropHolds calls dropOldest until holds.memory() is at most maxMemory. The caller must hold the lock.
func (s *store) dropHolds(maxMemory int64) {
	if len(s.holds.all) == 0 {
		return
	}
	for s.holds.memory() > maxMemory {
		s.dropOldest()
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

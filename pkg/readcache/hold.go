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
	// replacedBytes is the total memory of all objects, compressed JSON and summaries that the store has ever replaced.
	replacedBytes int64
}

// hold is a response in progress. The response may contain objects that the store has replaced since the snapshot of
// the response.
type hold struct {
	// startBytes is the value of holds.replacedBytes at the time of the snapshot. The increase of replacedBytes since
	// then is an upper bound of the memory of the replaced objects in the response.
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

// oldest returns the response with the oldest snapshot, or nil if there is no response.
func (h *holds) oldest() *hold {
	var out *hold
	for _, one := range h.all {
		if out == nil || one.startBytes < out.startBytes {
			out = one
		}
	}
	return out
}

// memory returns an upper bound of the memory, in bytes, of the replaced objects that responses in progress still
// contain: the memory of all objects that the store has replaced since the oldest snapshot of these responses.
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

// dropOldest calls hold.drop() of the response with the oldest snapshot. There must be at least one response. The
// caller must hold the lock.
func (s *store) dropOldest() {
	oldest := s.holds.oldest()
	s.holds.remove(oldest)
	oldest.drop()
	droppedAnswers.Inc()
}

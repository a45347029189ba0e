// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import "slices"

// holdPart is a divisor. The memory limit of the cache, divided by holdPart, is the limit for the replaced objects of
// one resource. The store no longer contains replaced objects, but responses in progress still use them.
const holdPart = 8

// holds contains the responses in progress that were created from snapshots of a store. The lock of the store guards
// it.
type holds struct {
	all []*hold
	// replacedBytes is a running total of the data that the store has replaced, in bytes: objects, compressed JSON and
	// summaries. The total never decreases, even if the replaced data are freed.
	replacedBytes int64
}

// hold represents a response in progress. The response uses the objects of a Snapshot, even if the store has replaced
// these objects in the meantime.
type hold struct {
	// startBytes is the total size of the data that the store had replaced before it created the Snapshot of the
	// response, in bytes.
	startBytes int64
	drop       func()
}

// Hold registers a response in progress that uses the objects of the view. The caller must call release when the
// response ends. The cache calls drop if the replaced objects in use take too much memory, or if the resource is no
// longer cached. The function drop must end all use of the objects, and must not block.
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

// oldest returns the hold with the oldest Snapshot. A hold is a response in progress that uses a Snapshot. If there is
// no such response, oldest returns nil.
func (h *holds) oldest() *hold {
	var out *hold
	for _, one := range h.all {
		if out == nil || one.startBytes < out.startBytes {
			out = one
		}
	}
	return out
}

// memory returns an upper bound of the memory of replaced data that responses in progress still use, in bytes. The
// bound is the size of all data that the store has replaced since it created the oldest Snapshot in use.
func (h *holds) memory() int64 {
	if oldest := h.oldest(); oldest != nil {
		return h.replacedBytes - oldest.startBytes
	}
	return 0
}

// dropHolds ends responses in progress that use replaced objects. It ends the response with the oldest Snapshot first,
// and stops when the other responses use at most maxMemory bytes of replaced objects. The caller must hold the lock of
// the store.
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

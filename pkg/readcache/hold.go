// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import "slices"

// holdPart is the part of the bytes of the cache that objects of one kind may take which were replaced, and which
// answers to slow clients still refer to.
const holdPart = 8

// holds are the answers that refer to objects of a store. The lock of the store guards them.
type holds struct {
	all []*hold
	// replaced is the memory of all objects that were ever replaced.
	replaced int64
}

// hold is an answer. It refers to no object that was replaced before begun.
type hold struct {
	begun int64
	drop  func()
}

// Hold records that an answer refers to objects of the view until the returned function is called. If too many of them
// are replaced by then, drop is called, which must make the answer let go of them. It must not wait.
func (v View) Hold(drop func()) (release func()) {
	s := v.store
	if s == nil {
		return func() {}
	}
	h := &hold{begun: v.replaced, drop: drop}
	s.mu.Lock()
	defer s.mu.Unlock()
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

// oldest returns the answer that may refer to most objects that were replaced, or nil.
func (h *holds) oldest() *hold {
	var out *hold
	for _, one := range h.all {
		if out == nil || one.begun < out.begun {
			out = one
		}
	}
	return out
}

// memory returns the memory that the answers hold at most of objects that were replaced.
func (h *holds) memory() int64 {
	if oldest := h.oldest(); oldest != nil {
		return h.replaced - oldest.begun
	}
	return 0
}

// dropHolds drops the oldest answers until the others hold at most so many bytes of objects that were replaced. The
// caller holds the lock.
func (s *store) dropHolds(most int64) {
	if len(s.holds.all) == 0 {
		return
	}
	for s.holds.memory() > most {
		oldest := s.holds.oldest()
		s.holds.remove(oldest)
		oldest.drop()
		droppedAnswers.Inc()
	}
	s.account.hold(s.holds.memory())
}

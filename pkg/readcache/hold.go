// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import "slices"

// holdPart is the part of the bytes of the cache that replaced objects of one kind may take while responses to slow
// clients still refer to them.
const holdPart = 8

// holds are the responses that refer to objects of a store. The lock of the store guards them.
type holds struct {
	all []*hold
	// replaced is the memory of all objects that were ever replaced.
	replaced int64
}

// hold is a response that refers to objects of a view. begun is the value of replaced when the view was made: the
// response refers to no object that was replaced before.
type hold struct {
	begun int64
	drop  func()
}

// Hold records that a response refers to objects of the view until release is called. If too many of them have been
// replaced, Hold calls drop, which must remove all references without waiting.
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

// oldest returns the response with the oldest view, or nil.
func (h *holds) oldest() *hold {
	var out *hold
	for _, one := range h.all {
		if out == nil || one.begun < out.begun {
			out = one
		}
	}
	return out
}

// memory returns the largest memory of replaced objects to which the responses can refer.
func (h *holds) memory() int64 {
	if oldest := h.oldest(); oldest != nil {
		return h.replaced - oldest.begun
	}
	return 0
}

// dropHolds drops responses, the oldest view first, until the others refer to at most so many bytes of replaced
// objects. The caller holds the lock.
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

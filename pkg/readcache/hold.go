// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import "slices"

// holdPart is the divisor of the memory of the cache that replaced objects of one kind may use while responses to slow
// clients refer to them.
const holdPart = 8

// holds are the responses that refer to objects of a store. The lock of the store guards them.
type holds struct {
	all []*hold
	// replaced is the total memory of all objects that have been replaced.
	replaced int64
}

// hold is a response that refers to objects of a view. begun is the value of replaced when the view was created: the
// response refers to no objects that were replaced earlier.
type hold struct {
	begun int64
	drop  func()
}

// Hold records that a response refers to objects of the view until release is called. If too many of these objects are
// replaced, it calls drop, which must remove all references and must not block.
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

// memory returns the maximum memory of replaced objects to which the responses may refer.
func (h *holds) memory() int64 {
	if oldest := h.oldest(); oldest != nil {
		return h.replaced - oldest.begun
	}
	return 0
}

// dropHolds drops responses, those with the oldest views first, until the others refer to at most the given memory of
// replaced objects. The caller must hold the lock.
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

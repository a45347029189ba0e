// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"context"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// scope determines which verdicts about one cluster are valid.
type scope struct {
	clock clock.PassiveClock
	stop  context.CancelFunc

	mu sync.Mutex
	// generation increases with each change of an RBAC object, and whenever a change may have been missed. Verdicts of
	// earlier generations are invalid.
	generation uint64
	// watched contains the resources whose changes are received. Verdicts are valid only while all of them are watched.
	watched map[string]bool
	// changed is the time of the last change.
	changed time.Time
	// broken is the time at which the watches broke, or zero. before is the valid generation at that time. It is reset
	// by a change during the outage, and when a watch is restored, because a change may have been missed.
	broken time.Time
	before uint64
	used   time.Time
	ended  bool
	// notify is called after changes of the generation, without the lock. It may be nil. pending is true while a call
	// is scheduled, which bounds the calls if a member sends endless changes.
	notify  func()
	pending bool
}

func newScope(c clock.PassiveClock) *scope {
	return &scope{clock: c, stop: func() {}, generation: 1, watched: map[string]bool{}, used: c.Now()}
}

// use returns the generation, and true if its verdicts are valid.
func (s *scope) use(now time.Time) (generation uint64, healthy bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = now
	return s.generation, s.healthy()
}

// term returns the generation, and the time until which the result of a review that is requested now is valid. The time
// is short if changes cannot be watched.
func (s *scope) term(now time.Time) (generation uint64, age time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = now
	if !s.healthy() || now.Sub(s.changed) < settleTime {
		return s.generation, unsettledAge
	}
	return s.generation, maxAge
}

// isCurrent returns true if nothing has changed since a generation.
func (s *scope) isCurrent(generation uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.generation == generation && !s.ended
}

func (s *scope) healthy() bool { return !s.ended && len(s.watched) == len(rbacResources()) }

func (s *scope) lastUse() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// keep stores a verdict that was requested in a generation, unless the generation has ended. It calls store with the
// time at which the verdict expires.
func (s *scope) keep(generation uint64, asked time.Time, store func(until time.Time)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.generation != generation || !s.healthy() {
		return
	}
	age := maxAge
	if asked.Sub(s.changed) < settleTime {
		age = unsettledAge
	}
	store(asked.Add(age))
}

// connected records that changes of a resource are received from now on. Earlier changes may have been missed.
func (s *scope) connected(resource string) {
	defer s.notified()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watched[resource] = true
	s.generation++
	s.changed, s.before = s.clock.Now(), 0
	if s.healthy() {
		s.broken = time.Time{}
	}
}

// hasChanged records a change of an RBAC object.
func (s *scope) hasChanged() {
	defer s.notified()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
	s.changed = s.clock.Now()
	s.before = 0
}

// notifyDelay is the time for which changes are collected before they are reported.
const notifyDelay = 50 * time.Millisecond

// notified reports a change together with the changes in the following notifyDelay.
func (s *scope) notified() {
	if s.notify == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending {
		return
	}
	s.pending = true
	time.AfterFunc(notifyDelay, func() {
		s.mu.Lock()
		s.pending = false
		s.mu.Unlock()
		s.notify()
	})
}

// disconnected records that changes of a resource are no longer received.
func (s *scope) disconnected(resource string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.watched[resource] {
		return
	}
	if s.healthy() {
		s.broken, s.before = s.clock.Now(), s.generation
	}
	delete(s.watched, resource)
}

// outage returns the time at which the watches broke, and the valid generation before. It returns false if the watches
// work, or have never worked.
func (s *scope) outage() (began time.Time, generation uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken, s.before, !s.ended && !s.broken.IsZero() && s.before != 0
}

// end invalidates all verdicts.
func (s *scope) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.generation++
}

// endWhenIdle ends the watches when no verdict was requested for idleTime, or when the connection is closed.
func (s *scope) endWhenIdle(ctx context.Context, cluster connection) {
	defer s.stop()
	for {
		left := idleTime - s.clock.Since(s.lastUse())
		if left <= 0 {
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		case <-cluster.Done():
			timer.Stop()
			return
		}
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"context"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// scope determines which cached results of access reviews (verdicts) are still valid for one cluster.
type scope struct {
	clock clock.PassiveClock
	stop  context.CancelFunc

	mu sync.Mutex
	// generation increases when an RBAC object changes, and when a change may have been missed. Only verdicts of the
	// current generation are valid.
	generation uint64
	// watched contains the resources that are currently watched. Verdicts are valid only while all RBAC resources are
	// watched.
	watched map[string]bool
	// changed is the time of the last increase of generation.
	changed time.Time
	// An outage begins when the first of the watches ends. It ends when all RBAC resources are watched again.
	// outageTime is the beginning of the current outage, or zero. outageGeneration is the generation at this time. If
	// RBAC objects may have changed during the outage, outageGeneration becomes 0, and verdicts from before the outage
	// are no longer used.
	outageTime       time.Time
	outageGeneration uint64
	used             time.Time
	ended            bool
	// notify is called, without the lock, after generation has increased. It may be nil. pending is true while a call
	// of notify is scheduled. At most one call is scheduled at a time, because a member cluster can change its RBAC
	// objects at any rate.
	notify  func()
	pending bool
}

func newScope(c clock.PassiveClock) *scope {
	return &scope{clock: c, stop: func() {}, generation: 1, watched: map[string]bool{}, used: c.Now()}
}

// use returns the current generation (see scope.generation), and true if all RBAC resources are watched. The call also
// counts as a use of the scope, which keeps the watches open (see endWhenIdle).
func (s *scope) use(now time.Time) (generation uint64, healthy bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = now
	return s.generation, s.healthy()
}

// term returns the current generation (see scope.generation), and the time for which the result of an access review is
// valid if the review is sent now. The time is unsettledAge if RBAC objects are not watched or have just changed, and
// maxAge in all other cases. The call also counts as a use of the scope, which keeps the watches open (see
// endWhenIdle).
func (s *scope) term(now time.Time) (generation uint64, age time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = now
	if !s.healthy() || now.Sub(s.changed) < settleTime {
		return s.generation, unsettledAge
	}
	return s.generation, maxAge
}

// isCurrent returns true if generation is the current one.
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

// keep calls store() with the time at which a verdict expires. The review for the verdict was sent at reviewTime, with
// the given generation of the scope. keep does nothing if the generation has changed since, or if not all RBAC
// resources are watched.
func (s *scope) keep(generation uint64, reviewTime time.Time, store func(until time.Time)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.generation != generation || !s.healthy() {
		return
	}
	age := maxAge
	if reviewTime.Sub(s.changed) < settleTime {
		age = unsettledAge
	}
	store(reviewTime.Add(age))
}

// connected records that a watch of the resource has started. It increases the generation, because earlier changes may
// have been missed.
func (s *scope) connected(resource string) {
	defer s.notified()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watched[resource] = true
	s.generation++
	s.changed, s.outageGeneration = s.clock.Now(), 0
	if s.healthy() {
		s.outageTime = time.Time{}
	}
}

// hasChanged increases the generation, because an RBAC object has changed.
func (s *scope) hasChanged() {
	defer s.notified()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
	s.changed = s.clock.Now()
	s.outageGeneration = 0
}

// notifyDelay is the time for which changes are collected before notify is called.
const notifyDelay = 50 * time.Millisecond

// notified schedules a call of notify after notifyDelay, if none is scheduled.
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

// disconnected records that the watch of the resource has ended.
func (s *scope) disconnected(resource string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.watched[resource] {
		return
	}
	if s.healthy() {
		s.outageTime, s.outageGeneration = s.clock.Now(), s.generation
	}
	delete(s.watched, resource)
}

// outage returns the beginning of the current outage, and the generation of the scope at that time. It returns false if
// there is no outage, if RBAC objects may have changed since the beginning of the outage, or if the scope has ended.
func (s *scope) outage() (began time.Time, generation uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outageTime, s.outageGeneration, !s.ended && !s.outageTime.IsZero() && s.outageGeneration != 0
}

// end invalidates all verdicts permanently.
func (s *scope) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.generation++
}

// endWhenIdle waits until the scope was not used for idleTime, the connection is closed, or ctx ends. It then stops the
// watches.
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

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
	// generation is a counter that increases when an RBAC object changes, and when a change may have been missed. Only
	// verdicts of the current generation are valid.
	generation uint64
	// watched contains the RBAC resources that are currently watched, for example "roles". Cached results are used only
	// while all four RBAC resources are watched.
	watched map[string]bool
	// changeTime is the time of the last change of an RBAC object. The start of a watch counts as a change, because
	// earlier changes may have been missed.
	changeTime time.Time
	// outageTime is the beginning of the current outage, or zero. An outage begins when the watch of an RBAC resource
	// ends. It ends when all RBAC resources are watched again.
	outageTime       time.Time
	outageGeneration uint64
	// used is the time at which a caller last asked for a verdict of the cluster.
	used time.Time
	// ended is true after the watches were stopped permanently.
	ended bool
	// notify is called after generation has increased. The caller does not hold the lock. notify may be nil.
	notify            func()
	isNotifyScheduled bool
}

func newScope(c clock.PassiveClock) *scope {
	return &scope{clock: c, stop: func() {}, generation: 1, watched: map[string]bool{}, used: c.Now()}
}

// recordUse records the time of the last use of the cluster, because the watches of an unused cluster are stopped. It
// returns the current generation, which increases when an RBAC object of the cluster changes. healthy is true if all
// RBAC resources are watched.
func (s *scope) recordUse(now time.Time) (generation uint64, healthy bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = now
	return s.generation, s.healthy()
}

// term returns two values that limit how long the result of an access review is valid. The caller must call term before
// it sends the review.
//
//   - generation is the current generation. It increases when an RBAC object changes, and the result is then no longer
//     valid.
//   - age is the maximum age of the result. It is usually maxAge. If RBAC objects are not watched or have just changed,
//     it is unsettledAge, which is shorter.
//
// term also records the time of the last use of the cluster, because the watches of an unused cluster are stopped.
func (s *scope) term(now time.Time) (generation uint64, age time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = now
	if !s.healthy() || now.Sub(s.changeTime) < settleTime {
		return s.generation, unsettledAge
	}
	return s.generation, maxAge
}

// isCurrent returns true if verdicts of the given generation are still valid. They become invalid when an RBAC object
// of the cluster changes, when a change may have been missed, and when the scope ends.
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

func (s *scope) storeIfCurrent(generation uint64, reviewTime time.Time, store func(until time.Time)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.generation != generation || !s.healthy() { // An RBAC object may have changed since the review was sent.
		return
	}
	age := maxAge
	if reviewTime.Sub(s.changeTime) < settleTime {
		age = unsettledAge
	}
	store(reviewTime.Add(age))
}

// connected records that a watch of the resource has started. It invalidates all cached results of access reviews for
// the cluster, because changes before the watch may have been missed.
func (s *scope) connected(resource string) {
	defer s.notified()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watched[resource] = true
	s.generation++
	// RBAC objects may have changed without a watch. Therefore, results from before the outage may no longer be used.
	s.changeTime, s.outageGeneration = s.clock.Now(), 0
	if s.healthy() {
		s.outageTime = time.Time{}
	}
}

// recordChange records that an RBAC object has changed. It invalidates all cached results of access reviews for the
// cluster.
func (s *scope) recordChange() {
	defer s.notified()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
	s.changeTime = s.clock.Now()
	s.outageGeneration = 0 // Results from before the outage may no longer be used.
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
	// A member cluster that changes its RBAC objects very often must not cause a call for each change.
	if s.isNotifyScheduled {
		return
	}
	s.isNotifyScheduled = true
	time.AfterFunc(notifyDelay, func() {
		s.mu.Lock()
		s.isNotifyScheduled = false
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

func (s *scope) outage() (began time.Time, generation uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// The generation is zero if an RBAC object may have changed since the outage began.
	return s.outageTime, s.outageGeneration, !s.ended && !s.outageTime.IsZero() && s.outageGeneration != 0
}

// end invalidates all cached results of access reviews for the cluster. The scope accepts no new results afterwards.
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

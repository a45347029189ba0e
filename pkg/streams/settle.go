// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"sync"
	"time"
)

const (
	// settleTime is how long after a change of RBAC objects an API server may decide by the objects before, with a
	// reserve. settleInterval is the time between two calls meanwhile.
	settleTime     = 700 * time.Millisecond
	settleInterval = 300 * time.Millisecond
)

// Settling calls a function after a change of RBAC objects: at once, and again until API servers no longer use the old
// objects. There is one timer for each key, and one call in each settleInterval, however many changes there are.
type Settling[K comparable] struct {
	mu      sync.Mutex
	changes map[K]time.Time
}

// Changed reports a change. It does not wait.
func (s *Settling[K]) Changed(key K, call func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes == nil {
		s.changes = map[K]time.Time{}
	}
	_, isPending := s.changes[key]
	s.changes[key] = time.Now()
	if !isPending {
		time.AfterFunc(0, func() { s.settle(key, call) })
	}
}

// settle calls the function, and repeats the call until settleTime has passed since the last change.
func (s *Settling[K]) settle(key K, call func()) {
	began := time.Now()
	call()
	s.mu.Lock()
	defer s.mu.Unlock()
	left := settleTime - began.Sub(s.changes[key])
	if left <= 0 {
		delete(s.changes, key)
		return
	}
	time.AfterFunc(min(left, settleInterval), func() { s.settle(key, call) })
}

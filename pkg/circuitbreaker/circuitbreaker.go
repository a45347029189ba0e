// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package circuitbreaker rejects calls while a server does not respond.
package circuitbreaker

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

const (
	// After is the number of failures in a row after which a breaker opens.
	After = 2
	// FirstPause is the first time for which a breaker stays open. Each further failure doubles the time.
	FirstPause = time.Second

	maxDoublings = 8
)

// ErrOpen is returned while a breaker is open.
var ErrOpen = errors.New("the server does not respond")

// Outcome describes whether the server responded to a call.
type Outcome int

const (
	// Unknown is the outcome of a cancelled call.
	Unknown Outcome = iota
	// Answered is the outcome of a call with any response.
	Answered
	// Failed is the outcome of a call without a response.
	Failed
)

// Breaker is a circuit breaker. While it is open, it allows one call after each pause. It closes when such a call gets
// a response.
type Breaker struct {
	Clock clock.PassiveClock
	// MaxPause bounds the pause.
	MaxPause time.Duration

	mu       sync.Mutex
	failures int
	until    time.Time
	trying   bool
}

// Enter returns ErrOpen while the breaker is open. Otherwise it returns a function that must be called with the outcome
// of the call.
func (b *Breaker) Enter() (leave func(Outcome), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < After {
		return func(o Outcome) { b.leave(false, o) }, nil
	}
	if wait := b.until.Sub(b.Clock.Now()); wait > 0 || b.trying {
		return nil, fmt.Errorf("%w: %d consecutive requests got no response", ErrOpen, b.failures)
	}
	b.trying = true
	return func(o Outcome) { b.leave(true, o) }, nil
}

func (b *Breaker) leave(trial bool, o Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if trial {
		b.trying = false
	}
	switch {
	case o == Answered:
		b.failures = 0
	// A call that was begun before the breaker opened must not lengthen the pause.
	case o == Unknown, !trial && b.failures >= After:
	default:
		b.failures++
		pause := FirstPause << min(max(b.failures-After, 0), maxDoublings)
		b.until = b.Clock.Now().Add(min(pause, b.MaxPause))
	}
}

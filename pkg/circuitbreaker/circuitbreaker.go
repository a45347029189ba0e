// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package circuitbreaker rejects calls to a server that does not respond.
package circuitbreaker

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

const (
	// After is the number of consecutive failed calls after which a Breaker opens.
	After = 2
	// FirstPause is the time for which a Breaker rejects calls after it has opened. Each further failed call doubles
	// the time.
	FirstPause = time.Second

	maxDoublings = 8
)

// ErrOpen is returned by Enter while the Breaker is open.
var ErrOpen = errors.New("the server does not respond")

// Outcome says whether the server responded to a call.
type Outcome int

const (
	// Unknown is the outcome of a call that was cancelled before a response. The Breaker counts it neither as a success
	// nor as a failure.
	Unknown Outcome = iota
	// Answered is the outcome of a call to which the server responded, even with an error. The Breaker counts it as a
	// success.
	Answered
	// Failed is the outcome of a call without a response. The Breaker counts it as a failure.
	Failed
)

// Breaker is a circuit breaker. After several failed calls it is open: it rejects calls for a pause, and then allows
// one call as a trial. If the server responds to the trial, the Breaker closes and allows all calls. If not, a longer
// pause follows.
type Breaker struct {
	Clock clock.PassiveClock
	// MaxPause bounds the length of a pause.
	MaxPause time.Duration

	mu       sync.Mutex
	failures int
	until    time.Time
	trying   bool
}

// Enter returns ErrOpen if the call must not be sent. Otherwise, Enter returns a function that must be called with the
// outcome of the call.
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

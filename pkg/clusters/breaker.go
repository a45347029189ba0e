// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

const (
	// breakAfter is the number of failures in a row after which the breaker opens.
	breakAfter = 2
	// firstPause is how long the breaker stays open at first. Each further failure doubles the pause, up to maxPause.
	firstPause = time.Second
	maxPause   = 15 * time.Second
)

// breaker is a circuit breaker: requests to a cluster that does not answer fail at once, and do not wait for its
// timeout. While it is open, it lets one request through after each pause, and it closes when that request is answered.
// A response of any status is an answer.
type breaker struct {
	next  http.RoundTripper
	clock clock.PassiveClock

	mu       sync.Mutex
	failures int
	until    time.Time
	trying   bool
}

// RoundTrip returns ErrNotConnected while the breaker is open.
func (b *breaker) RoundTrip(r *http.Request) (*http.Response, error) {
	trial, err := b.enter()
	if err != nil {
		return nil, err
	}
	response, err := b.next.RoundTrip(r)
	b.leave(r.Context(), trial, err)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotConnected, err)
	}
	return response, nil
}

func (b *breaker) enter() (trial bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < breakAfter {
		return false, nil
	}
	if wait := b.until.Sub(b.clock.Now()); wait > 0 || b.trying {
		return false, fmt.Errorf("%w: %d requests in a row got no answer", ErrNotConnected, b.failures)
	}
	b.trying = true
	return true, nil
}

func (b *breaker) leave(ctx context.Context, trial bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if trial {
		b.trying = false
	}
	switch {
	case err == nil, isServerResponse(err):
		b.failures = 0
	// The client gave up, which says nothing about the cluster.
	case errors.Is(ctx.Err(), context.Canceled), errors.Is(context.Cause(ctx), ErrImpatient):
	// A request that was sent before the breaker opened must not lengthen the pause.
	case !trial && b.failures >= breakAfter:
	default:
		b.failures++
		pause := firstPause << min(max(b.failures-breakAfter, 0), 8)
		b.until = b.clock.Now().Add(min(pause, maxPause))
	}
}

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
	// breakAfter failures in a row, no more requests are sent for a while.
	breakAfter = 2
	// firstPause doubles with each failure after it, up to maxPause.
	firstPause = time.Second
	maxPause   = 15 * time.Second
)

// breaker fails at once what would fail anyway, so that nobody waits for a cluster that is gone: after a few requests that got no answer it
// lets one through from time to time, and all as soon as that is answered. Any answer is one, whatever its status.
type breaker struct {
	next  http.RoundTripper
	clock clock.PassiveClock

	mu       sync.Mutex
	failures int
	until    time.Time
	trying   bool
}

// RoundTrip is ErrNotConnected where the cluster has not answered.
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
	case err == nil, isAnswer(err):
		b.failures = 0
	case errors.Is(ctx.Err(), context.Canceled), errors.Is(context.Cause(ctx), ErrImpatient): // nobody waited for the answer, which says nothing
	case !trial && b.failures >= breakAfter: // one of many that were sent before, which would make the pause the longest at once
	default:
		b.failures++
		pause := firstPause << min(max(b.failures-breakAfter, 0), 8)
		b.until = b.clock.Now().Add(min(pause, maxPause))
	}
}

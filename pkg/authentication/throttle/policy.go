// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package throttle makes guessing slow. It counts failed attempts and says how long the next one must wait: exponentially longer, up to a
// ceiling, and less again as time passes.
package throttle

import "time"

// Policy says how many failures are free, and what the others cost.
type Policy struct {
	// Free is how many failures cost no waiting.
	Free int
	// Forgive is the time without failure that takes one failure away; 0 for never.
	Forgive time.Duration
}

const (
	// firstWait doubles with every further failure, up to maxWait.
	firstWait = 30 * time.Second
	maxWait   = 15 * time.Minute
	// doublings are how often firstWait can be doubled before it is maxWait.
	doublings = 5
)

// Counter is a number of failures and the time of the last one.
type Counter struct {
	Failures int
	Last     time.Time
}

// At is the counter at a later time: some failures may be forgiven by then.
func (p Policy) At(c Counter, now time.Time) Counter {
	if p.Forgive <= 0 || !now.After(c.Last) {
		return c
	}
	c.Failures = max(c.Failures-int(min(now.Sub(c.Last)/p.Forgive, time.Duration(c.Failures))), 0)
	return c
}

// Add counts a failure.
func (p Policy) Add(c Counter, now time.Time) Counter {
	return Counter{Failures: p.At(c, now).Failures + 1, Last: now}
}

// BlockedUntil is when the next attempt may be made, zero where it may be made at once.
func (p Policy) BlockedUntil(c Counter, now time.Time) time.Time {
	excess := c.Failures - p.Free
	if excess < 0 {
		return time.Time{}
	}
	pause := maxWait
	if excess < doublings { // 30 s, 1, 2, 4, 8 minutes
		pause = firstWait << excess
	}
	if until := c.Last.Add(pause); until.After(now) {
		return until
	}
	return time.Time{}
}

// Wait is how long the next attempt must wait, 0 where it may be made at once.
func (p Policy) Wait(c Counter, now time.Time) time.Duration {
	until := p.BlockedUntil(c, now)
	if until.IsZero() {
		return 0
	}
	return until.Sub(now)
}

// Forgiven is when nothing is left to count.
func (p Policy) Forgiven(c Counter) time.Time {
	return c.Last.Add(time.Duration(c.Failures) * p.Forgive)
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package throttle delays the guessing of passwords and codes. It counts failed attempts, and delays the next attempt
// by a time that grows exponentially up to a maximum and decreases with time.
package throttle

import "time"

// Policy is the number of free failures, and the time after which failures are forgiven.
type Policy struct {
	// Free is the number of failures that cause no delay.
	Free int
	// Forgive is the time without a failure after which one failure is forgiven. Zero means never.
	Forgive time.Duration
}

const (
	// firstWait is the delay after the first failure that is not free. Each further failure doubles it, up to maxWait.
	firstWait = 30 * time.Second
	maxWait   = 15 * time.Minute
	// doublings is the number of times that firstWait is doubled before it reaches maxWait.
	doublings = 5
)

// Counter is a number of failures and the time of the last one.
type Counter struct {
	Failures int
	Last     time.Time
}

// At returns the counter at a later time, without the failures that are forgiven by then.
func (p Policy) At(c Counter, now time.Time) Counter {
	if p.Forgive <= 0 || !now.After(c.Last) {
		return c
	}
	c.Failures = max(c.Failures-int(min(now.Sub(c.Last)/p.Forgive, time.Duration(c.Failures))), 0)
	return c
}

// Add returns the counter with an additional failure at the given time, and without the failures that are forgiven by
// then.
func (p Policy) Add(c Counter, now time.Time) Counter {
	return Counter{Failures: p.At(c, now).Failures + 1, Last: now}
}

// BlockedUntil returns the time of the next allowed attempt, or zero if it is allowed at once.
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

// Wait returns the delay of the next attempt, or 0 if it is allowed at once.
func (p Policy) Wait(c Counter, now time.Time) time.Duration {
	until := p.BlockedUntil(c, now)
	if until.IsZero() {
		return 0
	}
	return until.Sub(now)
}

// ForgivenAt returns the time at which all failures are forgiven.
func (p Policy) ForgivenAt(c Counter) time.Time {
	return c.Last.Add(time.Duration(c.Failures) * p.Forgive)
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package throttle limits how fast passwords and codes can be guessed. It counts failed attempts. After too many
// failures, it rejects further attempts for a time that doubles with each failure, up to a maximum. Old failures no
// longer count.
//
// Attempts wait in fair queues, so that a flood of attempts for one account or from one network does not delay others
// for long.
package throttle

import "time"

// Policy determines how failures delay further attempts.
type Policy struct {
	// Free is the number of failures after which attempts are delayed.
	Free int
	// Forgive is the interval at which the number of failures decreases by one. Each failure restarts the interval.
	// Zero means that failures never expire.
	Forgive time.Duration
}

const (
	// firstWait is the delay of the next attempt if the number of failures equals Policy.Free. Each further failure
	// doubles the delay, up to maxWait.
	firstWait = 30 * time.Second
	// maxWait is the maximum delay of the next attempt after failures.
	maxWait = 15 * time.Minute
	// shortWaits is the number of delays that are shorter than maxWait. The short delays are 30 seconds, and 1, 2, 4
	// and 8 minutes.
	shortWaits = 5
)

// Counter is the number of failures and the time of the last one.
type Counter struct {
	Failures int
	Last     time.Time
}

// At returns the counter at the given time. It subtracts the failures that no longer count.
func (p Policy) At(c Counter, now time.Time) Counter {
	if p.Forgive <= 0 || !now.After(c.Last) {
		return c
	}
	c.Failures = max(c.Failures-int(min(now.Sub(c.Last)/p.Forgive, time.Duration(c.Failures))), 0)
	return c
}

// Add returns the counter after another failure at the given time. Failures that no longer count at this time are
// subtracted.
func (p Policy) Add(c Counter, now time.Time) Counter {
	return Counter{Failures: p.At(c, now).Failures + 1, Last: now}
}

// BlockedUntil returns the time from which the next attempt is allowed. It returns the zero time if the attempt is
// allowed now.
func (p Policy) BlockedUntil(c Counter, now time.Time) time.Time {
	excess := c.Failures - p.Free
	if excess < 0 {
		return time.Time{}
	}
	pause := maxWait
	if excess < shortWaits {
		pause = firstWait << excess
	}
	if until := c.Last.Add(pause); until.After(now) {
		return until
	}
	return time.Time{}
}

// Wait returns the time until the next attempt is allowed. It returns 0 if the attempt is allowed now.
func (p Policy) Wait(c Counter, now time.Time) time.Duration {
	until := p.BlockedUntil(c, now)
	if until.IsZero() {
		return 0
	}
	return until.Sub(now)
}

// ForgivenAt returns the time at which all failures of the counter have expired.
func (p Policy) ForgivenAt(c Counter) time.Time {
	return c.Last.Add(time.Duration(c.Failures) * p.Forgive)
}

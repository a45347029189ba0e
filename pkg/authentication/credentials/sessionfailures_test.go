// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"strconv"
	"testing"
	"time"
)

// TestSessionFailures verifies the limits for wrong codes in the sessions of a user:
//   - Wrong codes in one session first delay and then end this session. Other sessions continue without delay.
//   - Many wrong codes in several sessions delay all sessions of the user.
//   - One wrong code is forgiven after the duration forgiveCode.
//   - At most maxSessionCounters sessions have a counter of their own.
func TestSessionFailures(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var f SessionFailures
	for range freePerSession {
		if wait := f.Wait("stolen", now); wait != 0 {
			t.Fatalf("a free try waits for %s", wait)
		}
		f.Add("stolen", now)
	}
	if f.Wait("stolen", now) == 0 || f.Wait("other", now) != 0 {
		t.Errorf("the stolen session waits for %s, another for %s", f.Wait("stolen", now), f.Wait("other", now))
	}
	for range MaxSessionFailures - freePerSession {
		f.Add("stolen", now)
	}
	if !f.Exhausted("stolen", now) || f.Exhausted("other", now) || f.Wait("other", now) != 0 {
		t.Error("the session that gave too many is not over, or another is")
	}
	if f.Exhausted("stolen", now.Add(forgiveCode)) {
		t.Error("nothing is forgiven with time")
	}
	for i := range 2 * MaxSessionFailures {
		f.Add("more-"+strconv.Itoa(i%2), now)
	}
	if f.Wait("other", now) == 0 {
		t.Error("many sessions together have tries without end")
	}
	for i := range 10 * maxSessionCounters {
		f.Add("session-"+strconv.Itoa(i), now)
	}
	if n := len(f.Sessions); n != maxSessionCounters {
		t.Errorf("%d sessions are kept, want %d", n, maxSessionCounters)
	}
}

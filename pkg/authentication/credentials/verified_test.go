// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"strconv"
	"testing"
	"time"
)

// TestVerifiedSessions verifies the record of sessions in which a user has sent a correct one-time code:
//   - The record contains no other session.
//   - An entry of the record expires after VerifiedTTL.
//   - The number of entries is bounded. Above the bound, a new entry replaces the entry that expires first.
func TestVerifiedSessions(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var f SecondFactor
	f.Verify("one", now, VerifiedTTL)
	f.Verify("one", now.Add(time.Minute), VerifiedTTL)
	if len(f.Verified) != 1 {
		t.Errorf("one session is noted %d times", len(f.Verified))
	}
	for session, at := range map[string]time.Time{"one": now.Add(time.Minute + VerifiedTTL), "other": now, "": now} {
		if f.IsVerified(session, at) {
			t.Errorf("session %q is verified at %s", session, at)
		}
	}
	if !f.IsVerified("one", now.Add(time.Minute+VerifiedTTL-time.Nanosecond)) {
		t.Error("the session is not verified within its time")
	}
	for i := range 3 * maxVerifiedSessions {
		f.Verify("session-"+strconv.Itoa(i), now.Add(time.Minute+time.Duration(i)), VerifiedTTL)
	}
	if n := len(f.Verified); n != maxVerifiedSessions {
		t.Errorf("%d sessions are verified, want %d", n, maxVerifiedSessions)
	}
	last := "session-" + strconv.Itoa(3*maxVerifiedSessions-1)
	if f.IsVerified("one", now.Add(2*time.Minute)) || !f.IsVerified(last, now.Add(2*time.Minute)) {
		t.Error("it is not the session that ends first that gave way")
	}
	f.Verify("later", now.Add(time.Hour), VerifiedTTL)
	if len(f.Verified) != 1 {
		t.Errorf("%d sessions are noted after their time", len(f.Verified))
	}
}

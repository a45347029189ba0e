// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"strconv"
	"testing"
	"time"
)

// TestChallengesAreFew verifies the limits for challenges, which are logins that wait for a code:
//   - A user has at most maxChallenges challenges. At this limit, a new challenge replaces the oldest one.
//   - A challenge ends after the duration ChallengeTTL.
//   - A user can try at most ChallengeTries codes for one challenge.
func TestChallengesAreFew(t *testing.T) {
	f, now := &SecondFactor{}, time.Now()
	for i := range 3 * maxChallenges {
		f.AddChallenge(strconv.Itoa(i), now)
	}
	if n := len(f.Challenges); n != maxChallenges {
		t.Errorf("%d logins wait for a code", n)
	}
	last := strconv.Itoa(3*maxChallenges - 1)
	if f.Challenge("0", now) != nil || f.Challenge(last, now) == nil {
		t.Error("it is not the oldest that gave way")
	}
	f.Challenge(last, now).Tries = ChallengeTries
	if f.Challenge(last, now) != nil {
		t.Error("a challenge has more tries than it may")
	}
	f.AddChallenge("next", now.Add(ChallengeTTL))
	if len(f.Challenges) != 1 {
		t.Errorf("%d challenges are left after their time", len(f.Challenges))
	}
}

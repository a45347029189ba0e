// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"slices"
	"time"
)

const (
	// VerifiedTTL is the time after a correct code during which sensitive operations in the same session need no
	// further code.
	VerifiedTTL         = 5 * time.Minute
	maxVerifiedSessions = 32
)

// VerifiedSession is a session in which the user has sent a correct one-time code. Until the verification expires,
// sensitive operations in the session need no further code.
type VerifiedSession struct {
	Name    string    `json:"name"`
	Expires time.Time `json:"expires"`
}

// Verify marks the session as verified for the duration ttl. Sensitive operations in this session then need no code. If
// the user already has the maximum number of verified sessions, Verify removes the mark that expires first.
func (f *SecondFactor) Verify(session string, now time.Time, ttl time.Duration) {
	f.Verified = slices.DeleteFunc(f.Verified, func(v VerifiedSession) bool {
		return v.Name == session || !now.Before(v.Expires)
	})
	if len(f.Verified) >= maxVerifiedSessions {
		slices.SortFunc(f.Verified, func(a, b VerifiedSession) int { return a.Expires.Compare(b.Expires) })
		f.Verified = f.Verified[len(f.Verified)-maxVerifiedSessions+1:]
	}
	f.Verified = append(f.Verified, VerifiedSession{Name: session, Expires: now.Add(ttl)})
}

// IsVerified returns true if the user has verified the session with a correct code, and the verification has not
// expired. Sensitive operations in this session need no further code.
func (f *SecondFactor) IsVerified(session string, now time.Time) bool {
	return slices.ContainsFunc(f.Verified, func(v VerifiedSession) bool {
		return v.Name == session && now.Before(v.Expires)
	})
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"slices"
	"time"
)

const (
	// VerifiedTTL is how long a code that was given for a session stands for fresh codes in it.
	VerifiedTTL = 5 * time.Minute
	// maxVerified is how many sessions of a user may be verified at once. The one that ends first gives way.
	maxVerified = 32
)

// VerifiedSession is a session for which a code was given that stands for fresh codes until it expires.
type VerifiedSession struct {
	Name    string    `json:"name"`
	Expires time.Time `json:"expires"`
}

// Verify notes that a code was given for a session which stands for fresh codes for so long.
func (f *SecondFactor) Verify(session string, now time.Time, ttl time.Duration) {
	f.Verified = slices.DeleteFunc(f.Verified, func(v VerifiedSession) bool {
		return v.Name == session || !now.Before(v.Expires)
	})
	if len(f.Verified) >= maxVerified {
		slices.SortFunc(f.Verified, func(a, b VerifiedSession) int { return a.Expires.Compare(b.Expires) })
		f.Verified = f.Verified[len(f.Verified)-maxVerified+1:]
	}
	f.Verified = append(f.Verified, VerifiedSession{Name: session, Expires: now.Add(ttl)})
}

// IsVerified returns whether a code that was given for a session still stands for fresh codes.
func (f *SecondFactor) IsVerified(session string, now time.Time) bool {
	return slices.ContainsFunc(f.Verified, func(v VerifiedSession) bool {
		return v.Name == session && now.Before(v.Expires)
	})
}

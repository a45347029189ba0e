// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"maps"
	"time"
)

const (
	// verificationTime is the time for which a replaced signing key still verifies JWTs. It is longer than the lifetime
	// of any JWT.
	verificationTime = 2 * time.Hour
	// maxRetention bounds the time for which an old key is stored. It equals DeviceTTL, the lifetime of device tokens.
	// The old key must verify the MACs of the device tokens that were issued with it.
	maxRetention     = 30 * 24 * time.Hour
	retentionPeriods = 4
)

// Rotate returns the data that the Secret with signing keys should have. It adds a key if the newest key is older than
// the period, and removes keys that are no longer needed. changed is true if the returned data differs from the given
// data. next is the time at which Rotate must be called again.
func Rotate(
	data map[string][]byte, now time.Time, period time.Duration,
) (rotated map[string][]byte, changed bool, next time.Time, err error) {
	keys, err := ParseKeys(data)
	if err != nil {
		return nil, false, time.Time{}, err
	}
	rotated = maps.Clone(data)
	for len(keys) > 1 && !now.Before(predecessorDeletionTime(keys[1], period)) {
		delete(rotated, keys[0].ID+keySuffix)
		keys, changed = keys[1:], true
	}
	if len(keys) == 0 || !now.Before(keys[len(keys)-1].Created.Add(period)) {
		name, value, err := NewKey(now)
		if err != nil {
			return nil, false, time.Time{}, err
		}
		if rotated == nil {
			rotated = map[string][]byte{}
		}
		rotated[name] = value
		return rotated, true, now.Add(min(period, propagation+retention(period))), nil
	}
	next = keys[len(keys)-1].Created.Add(period)
	if len(keys) > 1 && predecessorDeletionTime(keys[1], period).Before(next) {
		next = predecessorDeletionTime(keys[1], period)
	}
	return rotated, changed, next, nil
}

// retention returns the time for which an old signing key is stored after the next key has begun to sign. This time is
// four rotation periods, but at least two hours and at most 30 days.
func retention(period time.Duration) time.Duration {
	return max(verificationTime, min(maxRetention, retentionPeriods*period))
}

func predecessorDeletionTime(successor Key, period time.Duration) time.Time {
	return successor.Created.Add(propagation + retention(period))
}

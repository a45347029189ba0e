// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"maps"
	"time"
)

const (
	// verification is the time for which a key verifies signatures after its successor has begun to sign. It exceeds
	// the lifetime of any signed token.
	verification = 2 * time.Hour
	// maxRetention is the additional time for which a key is kept to verify MACs. It equals the lifetime of device
	// tokens.
	maxRetention = 30 * 24 * time.Hour
	// retainedPeriods bounds the number of keys if they are rotated often.
	retainedPeriods = 4
)

// Rotate returns the data that the Secret should have. It adds a key if the newest one is older than period, and
// removes unused keys. It also returns whether the data has changed, and the time of the next change.
func Rotate(
	data map[string][]byte, now time.Time, period time.Duration,
) (rotated map[string][]byte, changed bool, next time.Time, err error) {
	keys, err := ParseKeys(data)
	if err != nil {
		return nil, false, time.Time{}, err
	}
	rotated = maps.Clone(data)
	for len(keys) > 1 && !now.Before(retired(keys[1], period)) {
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
	if len(keys) > 1 && retired(keys[1], period).Before(next) {
		next = retired(keys[1], period)
	}
	return rotated, changed, next, nil
}

// retention returns the time for which a key is kept after its successor has begun to sign.
func retention(period time.Duration) time.Duration {
	return max(verification, min(maxRetention, retainedPeriods*period))
}

// retired returns the time from which the predecessor of a key is unused.
func retired(successor Key, period time.Duration) time.Time {
	return successor.Created.Add(propagation + retention(period))
}

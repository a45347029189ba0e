// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"maps"
	"time"
)

// retention is how long a key goes on verifying after its successor has begun to sign: longer than any token lives.
const retention = 2 * time.Hour

// Rotate says what a Secret's data should be: with another key where the newest is older than the period, and without those keys that sign
// nothing any more and have signed nothing that is still valid. It returns the data themselves where nothing is to be done, and when something
// will be.
func Rotate(data map[string][]byte, now time.Time, period time.Duration) (rotated map[string][]byte, changed bool, next time.Time, err error) {
	keys, err := ParseKeys(data)
	if err != nil {
		return nil, false, time.Time{}, err
	}
	rotated = maps.Clone(data)
	for len(keys) > 1 && !now.Before(retired(keys[1])) {
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
		return rotated, true, now.Add(min(period, propagation+retention)), nil
	}
	next = keys[len(keys)-1].Created.Add(period)
	if len(keys) > 1 && retired(keys[1]).Before(next) {
		next = retired(keys[1])
	}
	return rotated, changed, next, nil
}

// retired is when the key before this one is of no use any more.
func retired(successor Key) time.Time { return successor.Created.Add(propagation + retention) }

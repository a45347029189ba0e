// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"strconv"
	"testing"
	"time"
)

// TestRates: each key has its own, and only so many keys are remembered.
func TestRates(t *testing.T) {
	const burst = 3
	r, now := newRates(burst), time.Now()
	for range burst {
		if !r.allow("busy", now) {
			t.Fatal("the first ones are refused")
		}
	}
	if r.allow("busy", now) || !r.allow("other", now) || !r.allow("busy", now.Add(time.Second)) {
		t.Error("a key has another rate than its own")
	}
	gone := NewGone()
	for i := range 3 * rateKeys {
		r.allow(strconv.Itoa(i), now)
		gone.add(strconv.Itoa(i))
	}
	if n := r.limiters.Len(); n > rateKeys {
		t.Errorf("%d rates are remembered", n)
	}
	if n := gone.seen.Len(); n > goneKeys {
		t.Errorf("%d keys are remembered that are no more", n)
	}
}

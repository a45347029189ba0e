// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"fmt"
	"net/netip"
	"strconv"
	"testing"
	"time"
)

// TestRates verifies that each key, for example a session, has a separate rate limit for requests. The memory for rate
// limits, and for the keys of deleted sessions, must be bounded.
func TestRates(t *testing.T) {
	const burst = 3
	r, now := newRateLimiters(burst), time.Now()
	for range burst {
		if !r.allow("busy", now) {
			t.Fatal("the first ones are refused")
		}
	}
	if r.allow("busy", now) || !r.allow("other", now) || !r.allow("busy", now.Add(time.Second)) {
		t.Error("a key has another rate than its own")
	}
	gone := NewDeletedObjects()
	for i := range 3 * rateKeys {
		r.allow(strconv.Itoa(i), now)
		gone.add(strconv.Itoa(i))
	}
	if n := r.limiters.Len(); n > rateKeys {
		t.Errorf("%d rates are remembered", n)
	}
	if n := gone.seen.Len(); n > maxDeletedObjects {
		t.Errorf("%d keys are remembered that are no more", n)
	}
}

// TestFailures verifies that RefusalLimiter limits the rejected requests from an IPv6 /64, and the rejected requests
// from a /48. A request in progress counts as rejected.
func TestFailures(t *testing.T) {
	begin := func(f *RefusalLimiter, address string) (func(bool), bool) {
		return f.Begin(netip.MustParseAddr(address), time.Now())
	}
	f := NewRefusalLimiter()
	var all []func(bool)
	for range rejectedBurst {
		done, ok := begin(f, "2001:db8::1")
		if !ok {
			t.Fatal("the first ones are refused")
		}
		all = append(all, done)
	}
	if _, ok := begin(f, "2001:db8::2"); ok {
		t.Error("more may begin than may be refused")
	}
	for _, done := range all {
		done(false)
	}
	allowed := 0
	for i := range 100 * rejectedBurst {
		if done, ok := begin(f, fmt.Sprintf("2001:db8:0:%x::1", i)); ok {
			done(true)
			allowed++
		}
	}
	if most := 20 * rejectedBurst; allowed < rejectedBurst || allowed > most {
		t.Errorf("%d were refused of one customer's networks, want at most %d", allowed, most)
	}
	if _, ok := begin(f, "192.0.2.1"); !ok || len(f.rates.pending) != 1 {
		t.Errorf("another network: %t, %v are pending", ok, f.rates.pending)
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/lru"

	"github.com/kubevision-io/kubevision/pkg/authentication/throttle"
)

// rateKeys bounds the clients or names that a rate limit remembers. Beyond it, the least recently seen one is
// forgotten.
const rateKeys = 4096

// rateLimiters limits the rate for each of many keys.
type rateLimiters struct {
	burst int

	mu       sync.Mutex
	limiters *lru.Cache
	// pending counts what has begun and may have to be counted.
	pending map[string]int
}

func newRateLimiters(burst int) *rateLimiters {
	return &rateLimiters{burst: burst, limiters: lru.New(rateKeys), pending: map[string]int{}}
}

// allow counts one request, and returns true if it is allowed.
func (r *rateLimiters) allow(key string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.limiter(key, 1).AllowN(now, 1)
}

// allowFrom is allow for an address: each of its networks has as many as its clients.
func (r *rateLimiters) allowFrom(address netip.Addr, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.exhausted(address, now) {
		return false
	}
	for _, n := range throttle.CountedNetworks(address) {
		r.limiter(n.Prefix.String(), n.Clients).AllowN(now, 1)
	}
	return true
}

// exhausted says whether one more from an address would not be allowed, beside those that are pending. The caller holds
// the lock.
func (r *rateLimiters) exhausted(address netip.Addr, now time.Time) bool {
	return slices.ContainsFunc(throttle.CountedNetworks(address), func(n throttle.Network) bool {
		key := n.Prefix.String()
		return r.limiter(key, n.Clients).TokensAt(now)-float64(r.pending[key]) < 1
	})
}

// limiter returns that of a key, which counts for so many clients. The caller holds the lock.
func (r *rateLimiters) limiter(key string, clients int) *rate.Limiter {
	found, _ := r.limiters.Get(key)
	limiter, ok := found.(*rate.Limiter)
	if !ok {
		limiter = rate.NewLimiter(rate.Every(rateInterval/time.Duration(clients)), r.burst*clients)
		r.limiters.Add(key, limiter)
	}
	return limiter
}

// RefusalLimiter bound what the host is asked for requests that turn out to be refused, for each network. They are
// those of one replica.
type RefusalLimiter struct{ rates *rateLimiters }

// NewRefusalLimiter returns Failures with a burst of inventedBurst.
func NewRefusalLimiter() *RefusalLimiter { return &RefusalLimiter{newRateLimiters(inventedBurst)} }

// Begin says whether the host may be asked for a request from an address. Where it may, done must be called; until then
// the request counts as one that is refused.
func (f *RefusalLimiter) Begin(address netip.Addr, now time.Time) (done func(refused bool), ok bool) {
	r := f.rates
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.exhausted(address, now) {
		return nil, false
	}
	r.addPending(address, 1)
	return func(refused bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.addPending(address, -1)
		if !refused {
			return
		}
		for _, n := range throttle.CountedNetworks(address) {
			r.limiter(n.Prefix.String(), n.Clients).AllowN(time.Now(), 1)
		}
	}, true
}

// addPending changes the number of requests from an address that have begun. The caller holds the lock.
func (r *rateLimiters) addPending(address netip.Addr, change int) {
	for _, n := range throttle.CountedNetworks(address) {
		key := n.Prefix.String()
		if r.pending[key] += change; r.pending[key] == 0 {
			delete(r.pending, key)
		}
	}
}

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

// rateKeys bounds the keys of a rate limit. A new key replaces the least recently seen one.
const rateKeys = 4096

// rateLimiters limits the rate of requests for each key.
type rateLimiters struct {
	burst int

	mu       sync.Mutex
	limiters *lru.Cache
	// pending counts the requests in progress that may be counted when they end.
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

// allowFrom is like allow, for an address: it counts a request for each network of the address. Larger networks have
// higher limits.
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

// exhausted returns true if the limit of an address allows no request in addition to the pending ones. The caller holds
// the lock.
func (r *rateLimiters) exhausted(address netip.Addr, now time.Time) bool {
	return slices.ContainsFunc(throttle.CountedNetworks(address), func(n throttle.Network) bool {
		key := n.Prefix.String()
		return r.limiter(key, n.Clients).TokensAt(now)-float64(r.pending[key]) < 1
	})
}

// limiter returns the limiter of a key that represents a number of clients. The caller holds the lock.
func (r *rateLimiters) limiter(key string, clients int) *rate.Limiter {
	found, _ := r.limiters.Get(key)
	limiter, ok := found.(*rate.Limiter)
	if !ok {
		limiter = rate.NewLimiter(rate.Every(rateInterval/time.Duration(clients)), r.burst*clients)
		r.limiters.Add(key, limiter)
	}
	return limiter
}

// RefusalLimiter limits, for each network, the requests that call the host and are then refused. The limits apply to
// each replica separately.
type RefusalLimiter struct{ rates *rateLimiters }

// NewRefusalLimiter returns a RefusalLimiter with a burst of inventedBurst.
func NewRefusalLimiter() *RefusalLimiter { return &RefusalLimiter{newRateLimiters(inventedBurst)} }

// Begin returns true if a request from an address may call the host. The caller must then call done. Until then, the
// request counts as refused.
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

// addPending changes the number of pending requests from an address. The caller holds the lock.
func (r *rateLimiters) addPending(address netip.Addr, change int) {
	for _, n := range throttle.CountedNetworks(address) {
		key := n.Prefix.String()
		if r.pending[key] += change; r.pending[key] == 0 {
			delete(r.pending, key)
		}
	}
}

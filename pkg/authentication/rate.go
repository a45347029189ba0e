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

// rateKeys bounds the number of keys with a rate limiter. A new key replaces the least recently used one.
const rateKeys = 4096

// rateLimiters contains a rate limiter for each key, such as a session or a network.
type rateLimiters struct {
	burst int

	mu       sync.Mutex
	limiters *lru.Cache
	// pending maps a network in CIDR notation to the number of its requests that are in progress. Each of these
	// requests counts against the limit of the network until its result is known.
	pending map[string]int
}

func newRateLimiters(burst int) *rateLimiters {
	return &rateLimiters{burst: burst, limiters: lru.New(rateKeys), pending: map[string]int{}}
}

// allow counts a request for the key. It returns false if the limit is exceeded.
func (r *rateLimiters) allow(key string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.limiter(key, 1).AllowN(now, 1)
}

// allowFrom counts a request for each network that contains the address. If the limit of one of these networks is
// reached, it returns false and counts nothing. Larger networks have higher limits.
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

// exhausted returns true if a network that contains the address has reached its limit for rejected requests. The caller
// must hold the lock.
func (r *rateLimiters) exhausted(address netip.Addr, now time.Time) bool {
	// Requests in progress count as rejected, because they may still be rejected.
	return slices.ContainsFunc(throttle.CountedNetworks(address), func(n throttle.Network) bool {
		key := n.Prefix.String()
		return r.limiter(key, n.Clients).TokensAt(now)-float64(r.pending[key]) < 1
	})
}

// limiter returns the rate limiter of the key, and creates it if it does not exist. The rate and the burst of one
// client are multiplied by the parameter clients, because a large network contains several clients. The caller must
// hold the lock.
func (r *rateLimiters) limiter(key string, clients int) *rate.Limiter {
	found, _ := r.limiters.Get(key)
	limiter, ok := found.(*rate.Limiter)
	if !ok {
		limiter = rate.NewLimiter(rate.Every(rateInterval/time.Duration(clients)), r.burst*clients)
		r.limiters.Add(key, limiter)
	}
	return limiter
}

// RefusalLimiter limits the rate of rejected requests from each network. It is used for requests that are rejected only
// after a call to the host cluster. Each replica has its own limits.
type RefusalLimiter struct{ rates *rateLimiters }

// NewRefusalLimiter returns a RefusalLimiter. Each client may cause rejectedBurst rejected requests without a pause.
// After these requests, the client may cause one rejected request in each rateInterval.
func NewRefusalLimiter() *RefusalLimiter { return &RefusalLimiter{newRateLimiters(rejectedBurst)} }

// Begin returns true if a request from the address may call the host cluster. It returns false if too many requests
// from the same network were rejected. If Begin returns true, the caller must call done at the end of the request. The
// parameter of done is true if the request was rejected.
func (f *RefusalLimiter) Begin(address netip.Addr, now time.Time) (done func(rejected bool), ok bool) {
	r := f.rates
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.exhausted(address, now) {
		return nil, false
	}
	// Until its end, the request counts as rejected, so that concurrent requests cannot exceed the limit.
	r.addPending(address, 1)
	return func(rejected bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.addPending(address, -1)
		if !rejected {
			return
		}
		for _, n := range throttle.CountedNetworks(address) {
			r.limiter(n.Prefix.String(), n.Clients).AllowN(time.Now(), 1)
		}
	}, true
}

// addPending adds delta to the number of requests in progress of each network that contains the address. The caller
// must hold the lock.
func (r *rateLimiters) addPending(address netip.Addr, delta int) {
	for _, n := range throttle.CountedNetworks(address) {
		key := n.Prefix.String()
		if r.pending[key] += delta; r.pending[key] == 0 {
			delete(r.pending, key)
		}
	}
}

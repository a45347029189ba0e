// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/lru"

	"github.com/kubevision-io/kubevision/pkg/authentication/throttle"
)

// rateKeys is how many clients, and how many names, a rate limit remembers. The one that was not seen for longest is forgotten.
const rateKeys = 4096

// rates limit how often something is done for each of many keys.
type rates struct {
	burst int

	mu       sync.Mutex
	limiters *lru.Cache
}

func newRates(burst int) *rates {
	return &rates{burst: burst, limiters: lru.New(rateKeys)}
}

// allow counts one, and says whether it may be done.
func (r *rates) allow(key string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.limiter(key).AllowN(now, 1)
}

// exhausted says whether one more would not be allowed, and counts none.
func (r *rates) exhausted(key string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.limiter(key).TokensAt(now) < 1
}

// limiter is called with the lock held.
func (r *rates) limiter(key string) *rate.Limiter {
	found, _ := r.limiters.Get(key)
	limiter, ok := found.(*rate.Limiter)
	if !ok {
		limiter = rate.NewLimiter(rate.Every(rateInterval), r.burst)
		r.limiters.Add(key, limiter)
	}
	return limiter
}

// Failures bound how often the host is asked about tokens that turn out to be worth nothing, for each network. They
// are those of one replica.
type Failures struct{ rates *rates }

// NewFailures allows as many failures as there may be refresh tokens that are not genuine.
func NewFailures() *Failures { return &Failures{newRates(inventedBurst)} }

// Exhausted says whether there were too many from the network of an address.
func (f *Failures) Exhausted(address netip.Addr, now time.Time) bool {
	return f.rates.exhausted(throttle.NetworkOf(address).String(), now)
}

// Add counts one.
func (f *Failures) Add(address netip.Addr, now time.Time) {
	f.rates.allow(throttle.NetworkOf(address).String(), now)
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/lru"
)

// rateKeys is how many clients, and how many names, a rate limit remembers. The one that was not seen for longest is forgotten.
const rateKeys = 4096

// rates limit how often something is done for each of many keys.
type rates struct {
	interval time.Duration
	burst    int

	mu       sync.Mutex
	limiters *lru.Cache
}

func newRates(interval time.Duration, burst int) *rates {
	return &rates{interval: interval, burst: burst, limiters: lru.New(rateKeys)}
}

// allow counts one, and says whether it may be done.
func (r *rates) allow(key string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, ok := r.limiters.Get(key)
	limiter, isLimiter := found.(*rate.Limiter)
	if !ok || !isLimiter {
		limiter = rate.NewLimiter(rate.Every(r.interval), r.burst)
		r.limiters.Add(key, limiter)
	}
	return limiter.AllowN(now, 1)
}

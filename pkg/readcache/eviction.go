// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import "time"

// makeRoom drops cached resources until the memory of the cache is within its limit. It is called when the memory of
// the resource k has grown. It returns an error if k is no longer cached.
func (c *Cache) makeRoom(k *kind) error {
	if !c.pool.over() {
		return nil
	}
	c.evicting.Lock()
	defer c.evicting.Unlock()
	for c.pool.over() && !k.ended.Load() {
		// First, drop the resources that are not in use, the least recently read one first.
		if oldest := c.leastRecentlyRead(k); oldest != nil && time.Since(oldest.lastUse()) >= inUseTime {
			c.stop(oldest, errEvicted, 0)
			continue
		}
		// All resources except k are in use.
		c.stop(c.selectVictim(k), errTooMuch, tooLargeFor)
	}
	if k.ended.Load() {
		return errTooMuch
	}
	return nil
}

func (c *Cache) selectVictim(k *kind) *kind {
	c.mu.Lock()
	defer c.mu.Unlock()
	sizes := make(map[Cluster]int64, len(c.kinds))
	for key, other := range c.kinds {
		sizes[key.cluster] += other.store.account.total()
	}
	// If k is new and its cluster uses more than an equal share, k is dropped before its first list is complete.
	// Otherwise, a new resource that is too large for the cache would displace resources in use.
	isNew := k.store.snapshot() == nil
	if len(sizes) == 0 || (isNew && sizes[k.key.cluster] > c.pool.limit/int64(len(sizes))) {
		return k
	}
	// The largest resource of the cluster that uses the most memory is dropped. Otherwise, one cluster could displace
	// the resources of the other clusters.
	largest, size := k, int64(0)
	for key, other := range c.kinds {
		own, in, most := other.store.account.total(), sizes[key.cluster], sizes[largest.key.cluster]
		if in > most || (key.cluster == largest.key.cluster && own > size) {
			largest, size = other, own
		}
	}
	return largest
}

// leastRecentlyRead returns the least recently read resource other than k, or nil if there is no other one.
func (c *Cache) leastRecentlyRead(k *kind) *kind {
	c.mu.Lock()
	defer c.mu.Unlock()
	var oldest *kind
	for _, other := range c.kinds {
		if other != k && (oldest == nil || other.used.Load() < oldest.used.Load()) {
			oldest = other
		}
	}
	return oldest
}

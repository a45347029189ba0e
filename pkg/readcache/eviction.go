// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import "time"

// makeRoom drops resources until the memory of the cache is within its limit. It is called when the memory of k has
// grown, and returns an error if it has dropped k.
//
// It first drops resources that were not read within the time inUse, the least recently read one first. If all other
// resources are in use, a resource without a complete list is not cached, so that it does not replace a resource in
// use. If k has a complete list, makeRoom drops the largest resource of the cluster that uses the most memory.
// Otherwise, a cluster that fills the cache would cause the eviction of other clusters' resources at their next events.
func (c *Cache) makeRoom(k *kind) error {
	if !c.pool.over() {
		return nil
	}
	c.evicting.Lock()
	defer c.evicting.Unlock()
	for c.pool.over() && !k.ended.Load() {
		if oldest := c.leastRecentlyRead(k); oldest != nil && time.Since(oldest.lastUse()) >= inUse {
			c.stop(oldest, errEvicted, 0)
			continue
		}
		victim := k
		if largest := c.largest(); largest != nil && k.store.snapshot() != nil {
			victim = largest
		}
		c.stop(victim, errTooMuch, tooLargeFor)
	}
	if k.ended.Load() {
		return errTooMuch
	}
	return nil
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

// largest returns the largest resource of the cluster that uses the most memory, or nil if nothing is cached.
func (c *Cache) largest() *kind {
	c.mu.Lock()
	defer c.mu.Unlock()
	sizes := make(map[Cluster]int64, len(c.kinds))
	for key, k := range c.kinds {
		sizes[key.cluster] += k.store.account.total()
	}
	var most *kind
	var size int64
	for key, k := range c.kinds {
		own := k.store.account.total()
		if most == nil || sizes[key.cluster] > sizes[most.key.cluster] ||
			(key.cluster == most.key.cluster && own > size) {
			most, size = k, own
		}
	}
	return most
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding

import "sync"

// activeRevocations counts the revocations in progress on each cluster. During a revocation on a cluster, the
// controller grants no rights in namespaces of this cluster, because thousands of writes would delay the revocation.
type activeRevocations struct {
	mu    sync.Mutex
	count map[string]int
}

// begin counts a revocation on the given cluster. The caller must call the returned function when the revocation has
// ended.
func (r *activeRevocations) begin(cluster string) (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == nil {
		r.count = map[string]int{}
	}
	r.count[cluster]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.count[cluster]--
		if r.count[cluster] == 0 {
			delete(r.count, cluster)
		}
	}
}

// isActive returns true if a revocation is in progress on the given cluster.
func (r *activeRevocations) isActive(cluster string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count[cluster] > 0
}

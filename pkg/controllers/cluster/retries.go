// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kubevision-io/kubevision/pkg/clusters"
)

// retries contains the clusters whose last probe has failed.
type retries struct {
	mu      sync.Mutex
	waiting map[types.UID]retry
}

type retry struct {
	failures int
	until    time.Time
	// revision identifies the kubeconfig of the failed probe. A probe with another kubeconfig need not wait.
	revision clusters.Revision
}

// next counts a failed probe, and returns the duration until the next probe.
func (r *retries) next(cluster types.UID, revision clusters.Revision, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = map[types.UID]retry{}
	}
	w := r.waiting[cluster]
	pause := wait.Jitter(min(firstRetry<<w.failures, maxRetry), probeJitter)
	r.waiting[cluster] = retry{failures: min(w.failures+1, 8), until: now.Add(pause), revision: revision}
	return pause
}

// remaining returns the time until the cluster may be probed again with the given revision of the kubeconfig. The
// result is 0 or negative if a probe is due. Without this wait, each change of a user or role binding would cause
// another probe of an unreachable cluster.
func (r *retries) remaining(cluster types.UID, revision clusters.Revision, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w, ok := r.waiting[cluster]; ok && w.revision == revision {
		return w.until.Sub(now)
	}
	return 0
}

func (r *retries) forget(cluster types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, cluster)
}

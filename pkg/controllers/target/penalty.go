// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"maps"
	"time"

	"github.com/kubevision-io/kubevision/pkg/clusters"
)

// penalty is how long nothing is read of a cluster that has sent more than is kept of one.
const penalty = 30 * time.Second

func (r *Registry) penalize(revision clusters.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(r.penalties, func(_ clusters.Revision, until time.Time) bool { return until.Before(now) })
	r.penalties[revision] = now.Add(penalty)
}

func (r *Registry) penalized(revision clusters.Revision) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return time.Now().Before(r.penalties[revision])
}

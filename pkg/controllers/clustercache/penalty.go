// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clustercache

import (
	"maps"
	"time"

	"github.com/kubevision-io/kubevision/pkg/clusters"
)

// penalty is the time for which a cluster is not read after it has exceeded its limit or has released its memory for
// other members.
const penalty = 30 * time.Second

// penalize delays the next read of a cluster that has exceeded its limit within patience. A busy cluster may exceed it
// later without a penalty, because its changes add up.
func (r *Registry) penalize(m *member) {
	if time.Since(m.opened) > patience {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(r.penalties, func(_ clusters.Revision, until time.Time) bool { return until.Before(now) })
	r.penalties[m.revision] = now.Add(penalty)
}

// patience is the time within which a cluster must not exceed its limit.
const patience = 10 * time.Minute

func (r *Registry) isPenalized(revision clusters.Revision) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return time.Now().Before(r.penalties[revision])
}

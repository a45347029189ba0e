// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clustercache

import (
	"maps"
	"time"

	"github.com/kubevision-io/kubevision/pkg/clusters"
)

// penalty is the time for which Open fails after a cluster was disconnected because its objects used too much memory.
const penalty = 30 * time.Second

// penalize makes Open fail for some time if the connection m was opened recently. It is called when m has exceeded its
// memory limit.
func (r *Registry) penalize(m *member) {
	// The counted memory grows with each change of an object. A new connection counts only the current objects.
	// Therefore, the replacement of an old connection may remain below the limit.
	const recent = 10 * time.Minute
	if time.Since(m.opened) > recent {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(r.penalties, func(_ clusters.Revision, until time.Time) bool { return until.Before(now) })
	r.penalties[m.revision] = now.Add(penalty)
}

func (r *Registry) isPenalized(revision clusters.Revision) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return time.Now().Before(r.penalties[revision])
}

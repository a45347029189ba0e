// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clustercache

import (
	"maps"
	"time"

	"github.com/kubevision-io/kubevision/pkg/clusters"
)

// penalty is the time for which Open fails after a cluster was disconnected because of its memory.
const penalty = 30 * time.Second

// penalize makes Open fail for a while (see the constant penalty) if the connection exceeded its memory limit soon
// after it was opened (see the constant patience). A new connection would probably exceed the limit again. An older
// connection is not penalized: many changes of objects may have used its memory, and a new connection starts without
// them.
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

// patience is the minimum time for which a connection must stay within its memory limit to avoid a penalty.
const patience = 10 * time.Minute

func (r *Registry) isPenalized(revision clusters.Revision) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return time.Now().Before(r.penalties[revision])
}

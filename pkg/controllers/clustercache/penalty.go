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

// penalize is called when the connection m has exceeded its memory limit. If m was opened recently (see patience), a
// new connection would probably exceed the limit again. Therefore, penalize makes Open fail for some time (see
// penalty). If m is older, penalize does nothing: the counted memory grows with each change of an object, and a new
// connection counts only the current objects.
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

// patience is compared with the age of a connection that has exceeded its memory limit. An older connection may be
// opened again at once. After a younger connection, Open fails for some time, because a new connection would probably
// exceed the limit again.
const patience = 10 * time.Minute

func (r *Registry) isPenalized(revision clusters.Revision) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return time.Now().Before(r.penalties[revision])
}

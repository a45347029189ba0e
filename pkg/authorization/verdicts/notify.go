// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"time"

	"github.com/kubevision-io/kubevision/pkg/clusters"
)

// OnChange sets a function that is called when cached results for a cluster become invalid. This happens when an RBAC
// object has changed, and when a change may have been missed. The function must not block. OnChange must be called
// before the Cache is used.
func (c *Cache) OnChange(changed func(*clusters.Connection)) { c.onChange = changed }

// changed calls the function that OnChange has set.
func (c *Cache) changed(cluster connection) {
	if known, ok := cluster.(*clusters.Connection); ok && c.onChange != nil {
		c.onChange(known)
	}
}

// Watched returns true if the RBAC objects of the cluster are being watched, so that changes are noticed. If they are
// not watched, Watched starts the watches in the background, and returns false.
func (c *Cache) Watched(cluster *clusters.Connection) bool {
	_, healthy := c.scopeOf(cluster).recordUse(c.clock.Now())
	return healthy
}

// Term is the period in which the result of an access review is valid. It is intended for callers that store results
// themselves, instead of in the Cache.
type Term struct {
	scope      *scope
	generation uint64
	until      time.Time
}

// Term returns the period in which the result of an access review is valid. The period begins with the call of Term. It
// ends after a fixed time, or earlier if an RBAC object of the cluster changes. The caller must call Term before it
// sends the review, so that a change during the review also ends the period.
func (c *Cache) Term(cluster *clusters.Connection) Term {
	s, now := c.scopeOf(cluster), c.clock.Now()
	generation, age := s.term(now)
	return Term{scope: s, generation: generation, until: now.Add(age)}
}

// InForce returns true until t ends. t is a Term that the method Term of this Cache has returned.
func (c *Cache) InForce(t Term) bool {
	return t.scope != nil && c.clock.Now().Before(t.until) && t.scope.isCurrent(t.generation)
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"time"

	"github.com/kubevision-io/kubevision/pkg/clusters"
)

// OnChange sets a function that is called when verdicts about a cluster become invalid: an RBAC object has changed, or
// a change may have been missed. It must be set before the first question, and must not block.
func (c *Cache) OnChange(changed func(*clusters.Connection)) { c.onChange = changed }

// changed reports a change.
func (c *Cache) changed(cluster connection) {
	if known, ok := cluster.(*clusters.Connection); ok && c.onChange != nil {
		c.onChange(known)
	}
}

// Watched returns true if changes of the RBAC objects of a cluster are being reported. It starts the watch if
// necessary.
func (c *Cache) Watched(cluster *clusters.Connection) bool {
	_, healthy := c.scopeOf(cluster).use(c.clock.Now())
	return healthy
}

// Term is the period for which the result of a review is valid.
type Term struct {
	scope      *scope
	generation uint64
	until      time.Time
}

// Term returns the validity of a review that is requested after the call.
func (c *Cache) Term(cluster *clusters.Connection) Term {
	s, now := c.scopeOf(cluster), c.clock.Now()
	generation, age := s.term(now)
	return Term{scope: s, generation: generation, until: now.Add(age)}
}

// InForce returns true if the result of the review is still valid.
func (c *Cache) InForce(t Term) bool {
	return t.scope != nil && c.clock.Now().Before(t.until) && t.scope.isCurrent(t.generation)
}

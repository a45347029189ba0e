// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"time"

	"github.com/kubevision-io/kubevision/pkg/clusters"
)

// OnChange sets a function that is called when verdicts about a cluster go out of force: an RBAC object has changed, or
// changes may have been missed. It must be set before the first question, and must not wait.
func (c *Cache) OnChange(changed func(*clusters.Connection)) { c.onChange = changed }

// changed reports a change.
func (c *Cache) changed(cluster connection) {
	if known, ok := cluster.(*clusters.Connection); ok && c.onChange != nil {
		c.onChange(known)
	}
}

// Watched returns whether changes of the RBAC objects of a cluster are reported now. It begins to watch them.
func (c *Cache) Watched(cluster *clusters.Connection) bool {
	_, healthy := c.scopeOf(cluster).use(c.clock.Now())
	return healthy
}

// Term is how long the result of a review is in force.
type Term struct {
	scope      *scope
	generation uint64
	until      time.Time
}

// Term returns the term of a review that is made afterwards.
func (c *Cache) Term(cluster *clusters.Connection) Term {
	s, now := c.scopeOf(cluster), c.clock.Now()
	generation, age := s.term(now)
	return Term{scope: s, generation: generation, until: now.Add(age)}
}

// InForce returns whether the result of the review may still be used.
func (c *Cache) InForce(t Term) bool {
	return t.scope != nil && c.clock.Now().Before(t.until) && t.scope.isCurrent(t.generation)
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"maps"
	"time"

	"golang.org/x/time/rate"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/kubevision-io/kubevision/pkg/clusters/pacing"
)

const (
	// eventRate bounds the watch events per second of all resources of one cluster. If a cluster sends more events, the
	// cache reads them more slowly.
	eventRate = 5000
	// eventBurst is the number of watch events that the cache reads from one cluster at once, before eventRate applies.
	eventBurst = 20_000
	// workShare bounds the processor time for the data of one cluster, as a fraction of one processor. The watch events
	// that eventRate allows take about one fifth of a processor.
	workShare = 1.0 / 3
	// workBurst is the processor time that the data of one cluster may take at once, without a delay. It suffices for a
	// first list of 50,000 Pods, which takes about 5 s.
	workBurst = 6 * time.Second
)

// pace limits the rate at which the data of one cluster is read. All resources of the cluster share it.
type pace struct {
	events *rate.Limiter
	work   *pacing.Pace
}

func newPace() *pace {
	return &pace{events: rate.NewLimiter(eventRate, eventBurst), work: pacing.New(workShare, workBurst)}
}

func (p *pace) isIdle() bool { return p.work.IsIdle() && p.events.Tokens() >= eventBurst }

// paceOf returns the rate limits of a cluster. The caller must hold the lock of the cache.
func (c *Cache) paceOf(cluster Cluster) *pace {
	p := c.paces[cluster]
	if p == nil {
		p = newPace()
		c.paces[cluster] = p
	}
	return p
}

// dropIdlePaces drops the rate limiters of clusters without cached resources. It keeps rate limiters that have used a
// part of their burst, so that the cluster does not get a full burst again at the next read. The caller must hold the
// lock of the cache.
func (c *Cache) dropIdlePaces() {
	used := make(map[Cluster]bool, len(c.kinds))
	for key := range c.kinds {
		used[key.cluster] = true
	}
	maps.DeleteFunc(c.paces, func(cluster Cluster, p *pace) bool { return !used[cluster] && p.isIdle() })
}

// pacedStore is a store that counts the processor time of each change, in order to limit the processor time for the
// cluster. A Reflector writes to it.
type pacedStore struct {
	*store

	pace *pace
}

var (
	_ toolscache.ReflectorStore         = pacedStore{}
	_ toolscache.ResourceVersionUpdater = pacedStore{}
)

// counted calls a function and counts its processor time.
func (s pacedStore) counted(change func() error) error {
	began := time.Now()
	defer func() { s.pace.work.Count(time.Since(began)) }()
	return change()
}

// Replace implements toolscache.ReflectorStore.
func (s pacedStore) Replace(list []any, version string) error {
	return s.counted(func() error { return s.store.Replace(list, version) })
}

// Add implements toolscache.ReflectorStore.
func (s pacedStore) Add(object any) error { return s.Update(object) }

// Update implements toolscache.ReflectorStore.
func (s pacedStore) Update(object any) error {
	return s.counted(func() error { return s.store.Update(object) })
}

// Delete implements toolscache.ReflectorStore.
func (s pacedStore) Delete(object any) error {
	return s.counted(func() error { return s.store.Delete(object) })
}

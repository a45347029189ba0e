// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/readcache"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

const (
	// unusedPatience is the time for which a feed continues after its last topic has ended. During this time, clients
	// can resume their topics.
	unusedPatience = 2 * time.Minute
	// tick is the time between two passes of feeds.run over all feeds.
	tick = time.Second
	// reviewsPerSecond bounds the average rate of the periodic access reviews for one feed. Access reviews are periodic
	// only while KubeVision cannot watch RBAC objects.
	reviewsPerSecond = 50
)

type feedKey struct {
	connection *clusters.Connection
	resource   schema.GroupVersionResource
}

// feeds contains the feeds of all resources and clusters that clients follow.
type feeds struct {
	cache *readcache.Cache
	// rbacChanges coalesces the changes of RBAC objects, per cluster.
	rbacChanges streams.Coalescer[*clusters.Connection]

	mu    sync.Mutex
	feeds map[feedKey]*feed
}

// get returns the feed of the resource r on the cluster of c, and starts it if necessary. It returns false if the read
// cache does not hold the resource.
func (f *feeds) get(ctx context.Context, c *clusters.Connection, r clusters.Resource) (*feed, bool) {
	key := feedKey{c, r.GroupVersionResource}
	f.mu.Lock()
	known := f.feeds[key]
	f.mu.Unlock()
	if known != nil {
		return known, true
	}
	next := newFeed(c)
	next.mu.Lock() // blocks deliveries until the start of the feed is set
	cluster := scopedlist.Connected{Connection: c}
	s, first, ok := f.cache.Subscribe(ctx, cluster, r.GroupVersionResource, r.Kind, next.deliver)
	if !ok {
		next.mu.Unlock()
		return nil, false
	}
	next.subscription, next.content, next.charge = s, first, s.Count
	next.start, next.version = first.ResourceVersion, first.ResourceVersion
	next.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if known := f.feeds[key]; known != nil { // Another goroutine has added the feed.
		go s.Close()
		return known, true
	}
	if f.feeds == nil {
		f.feeds = map[feedKey]*feed{}
	}
	f.feeds[key] = next
	go f.awaitEnd(key, next)
	return next, true
}

func (f *feeds) awaitEnd(key feedKey, ended *feed) {
	<-ended.subscription.Ended()
	f.mu.Lock()
	if f.feeds[key] == ended {
		delete(f.feeds, key)
	}
	f.mu.Unlock()
	ended.mu.Lock()
	ended.release()
	followers := ended.all()
	ended.mu.Unlock()
	for _, t := range followers {
		t.client.wake() // The client ends the topic.
	}
}

func (f *feeds) run(ctx context.Context, host *clusters.Connection, isWatched func(*clusters.Connection) bool) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		all := f.all()
		if len(all) == 0 {
			continue
		}
		hostWatched := isWatched(host) // every call keeps the RBAC objects watched
		for key, one := range all {
			if one.isAbandoned(time.Now().Add(-unusedPatience)) {
				f.close(key, one)
				continue
			}
			followers := one.count()
			// The RBAC objects of the host also grant the right to use clusters.
			areWatched := isWatched(key.connection) && hostWatched
			// Without a watch, the end of a right is noticed only by periodic access reviews.
			if !areWatched && followers > 0 && n%(1+followers/reviewsPerSecond) == 0 {
				one.requireReviews()
			}
		}
	}
}

func (f *feeds) all() map[feedKey]*feed {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.feeds)
}

// close removes and ends a feed if no topic reads it.
func (f *feeds) close(key feedKey, one *feed) {
	f.mu.Lock()
	one.mu.Lock()
	unused := len(one.followers) == 0
	if unused {
		one.ended = true
		delete(f.feeds, key)
	}
	one.mu.Unlock()
	f.mu.Unlock()
	if unused {
		one.subscription.Close()
	}
}

// changed is called after a change of an RBAC object on the cluster of c. It makes the topics of this cluster repeat
// their access reviews. If isHost is true, it makes the topics of all clusters repeat them, because the RBAC objects of
// the host also grant the right to use clusters.
func (f *feeds) changed(c *clusters.Connection, isHost bool) {
	f.rbacChanges.Changed(c, func() {
		for key, one := range f.all() {
			if isHost || key.connection == c {
				one.requireReviews()
			}
		}
	})
}

func (f *feed) count() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.followers)
}

// requireReviews makes all topics of the feed repeat their access reviews before their next events.
func (f *feed) requireReviews() {
	f.mu.RLock()
	followers := f.all()
	f.mu.RUnlock()
	for _, t := range followers {
		t.unreviewed.Store(true)
		t.client.wake()
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

const (
	// discoveryTTL is how long a cluster's list of resources is believed.
	discoveryTTL = 10 * time.Minute
	// discoveryMinAge is how old the list must be for an unknown resource to be looked for anew, so that a name that does not exist
	// costs no call per request. A CustomResourceDefinition shows after at most this time.
	discoveryMinAge = 2 * time.Second
)

// Resource is a kind of objects that a cluster serves.
type Resource struct {
	schema.GroupVersionResource

	Kind       string
	Namespaced bool
	Verbs      metav1.Verbs
}

// resources knows what a cluster serves, and finds it by the names that people use.
type resources struct {
	client discovery.DiscoveryInterfaceWithContext
	flight singleflight.Group

	mu      sync.RWMutex
	fetched time.Time
	// byPlural is in the cluster's order of preference: the core group first.
	byPlural map[string][]Resource
}

func newResources(client discovery.DiscoveryInterfaceWithContext) *resources {
	return &resources{client: client}
}

// find resolves plural, plural.group or plural.version.group. It is false where the cluster serves nothing of that name.
func (r *resources) find(ctx context.Context, name string) (Resource, bool, error) {
	found, ok, age := r.lookup(name)
	if (ok && age < discoveryTTL) || (!ok && age < discoveryMinAge) {
		return found, ok, nil
	}
	if err := r.refresh(ctx); err != nil {
		if ok { // an old answer is better than none
			return found, true, nil
		}
		return Resource{}, false, err
	}
	found, ok, _ = r.lookup(name)
	return found, ok, nil
}

func (r *resources) lookup(name string) (Resource, bool, time.Duration) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	age := time.Since(r.fetched)
	versioned, grouped := schema.ParseResourceArg(name)
	for _, candidate := range r.byPlural[grouped.Resource] {
		byGroup := grouped.Group == "" || grouped.Group == candidate.Group
		byVersion := versioned != nil && versioned.Group == candidate.Group && versioned.Version == candidate.Version
		if byGroup || byVersion {
			return candidate, true, age
		}
	}
	return Resource{}, false, age
}

// refresh asks the cluster, once for all who wait. A group whose own API server does not answer is left out; the rest is good.
func (r *resources) refresh(ctx context.Context) error {
	done := r.flight.DoChan("refresh", func() (any, error) {
		groups, lists, err := r.client.ServerGroupsAndResourcesWithContext(context.WithoutCancel(ctx))
		if err != nil && (!discovery.IsGroupDiscoveryFailedError(err) || len(lists) == 0) {
			return nil, fmt.Errorf("discovering the cluster's resources: %w", err)
		}
		byPlural := index(groups, lists)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.byPlural, r.fetched = byPlural, time.Now()
		return nil, nil
	})
	select {
	case result := <-done:
		return result.Err
	case <-ctx.Done():
		return fmt.Errorf("waiting for the cluster's resources: %w", ctx.Err())
	}
}

// index lists each group's preferred version before its others, and groups in the cluster's own order.
func index(groups []*metav1.APIGroup, lists []*metav1.APIResourceList) map[string][]Resource {
	byVersion := make(map[string]*metav1.APIResourceList, len(lists))
	for _, l := range lists {
		byVersion[l.GroupVersion] = l
	}
	out := map[string][]Resource{}
	for _, g := range groups {
		versions := []string{g.PreferredVersion.GroupVersion}
		for _, v := range g.Versions {
			if v.GroupVersion != g.PreferredVersion.GroupVersion {
				versions = append(versions, v.GroupVersion)
			}
		}
		for _, v := range versions {
			if l := byVersion[v]; l != nil {
				add(out, l)
			}
		}
	}
	return out
}

func add(out map[string][]Resource, l *metav1.APIResourceList) {
	gv, err := schema.ParseGroupVersion(l.GroupVersion)
	if err != nil {
		return
	}
	for i := range l.APIResources {
		r := &l.APIResources[i]
		out[r.Name] = append(out[r.Name], Resource{
			GroupVersionResource: gv.WithResource(r.Name), Kind: r.Kind, Namespaced: r.Namespaced, Verbs: r.Verbs,
		})
	}
}

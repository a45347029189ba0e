// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters/answer"
)

const (
	// discoveryTTL is how long a cluster's list of resources is believed.
	discoveryTTL = 10 * time.Minute
	// discoveryMinAge is how old the list must be for an unknown resource to be looked for anew, so that a name that does not exist
	// costs no call per request. A CustomResourceDefinition shows after at most this time.
	discoveryMinAge = 2 * time.Second
	// absenceTTL is how long it is believed that a cluster does not serve what few clusters lack.
	absenceTTL = time.Minute

	// maxKinds is the number of kinds from which on a cluster is not believed.
	maxKinds = 20_000
	// decodedDiscovery is how many quarters of a byte each byte of a discovery document takes, with what is made of it.
	decodedDiscovery budget.Quarters = 24
)

// Resource is a kind of objects that a cluster serves.
type Resource struct {
	schema.GroupVersionResource

	Kind       string
	Namespaced bool
	Verbs      metav1.Verbs
	ShortNames []string
	Categories []string
	// Subresources are the names of what is served below an object, such as scale.
	Subresources []string
}

// resources knows what a cluster serves, and finds it by the names that people use.
type resources struct {
	client discovery.DiscoveryInterfaceWithContext
	// account is what a look at the cluster may hold.
	account func() *budget.Account
	// kept bounds what is kept of all members; nil for the host.
	kept   *discoveries
	flight singleflight.Group

	mu      sync.RWMutex
	closed  bool
	fetched time.Time
	// ordered is in the cluster's order of preference: the core group first, and each group's preferred version first. byPlural is in the same.
	ordered  []Resource
	byPlural map[string][]Resource
}

func newResources(client discovery.DiscoveryInterfaceWithContext, account func() *budget.Account) *resources {
	return &resources{client: client, account: account}
}

// close forgets what the cluster serves, for good.
func (r *resources) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.forget()
	r.kept.leave(r)
}

// forget forgets what the cluster serves until somebody asks.
func (r *resources) forget() { r.set(nil, nil, time.Time{}) }

func (r *resources) set(ordered []Resource, byPlural map[string][]Resource, fetched time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ordered, r.byPlural, r.fetched = ordered, byPlural, fetched
}

func (r *resources) isClosed() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.closed
}

// find resolves plural, plural.group or plural.version.group. It is false where the cluster serves nothing of that name, which is believed for a time.
func (r *resources) find(ctx context.Context, name string, absence time.Duration) (Resource, bool, error) {
	found, ok, age := r.lookup(name)
	if (ok && age < discoveryTTL) || (!ok && age < absence) {
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

// all are the kinds that the cluster serves, at most discoveryTTL old.
func (r *resources) all(ctx context.Context) ([]Resource, error) {
	known, age := r.list()
	if age < discoveryTTL {
		return known, nil
	}
	if err := r.refresh(ctx); err != nil {
		if known != nil {
			return known, nil
		}
		return nil, err
	}
	known, _ = r.list()
	return known, nil
}

func (r *resources) list() ([]Resource, time.Duration) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.ordered, time.Since(r.fetched)
}

// refresh asks the cluster, once for all who wait. Of a group whose own API server does not answer it keeps what was known: without it, its
// plurals would mean kinds of other groups.
func (r *resources) refresh(ctx context.Context) error {
	done := r.flight.DoChan("refresh", func() (any, error) {
		account := r.account() // not that of whoever asked first
		defer account.Close()
		groups, lists, err := r.client.ServerGroupsAndResourcesWithContext(budget.With(context.WithoutCancel(ctx), account))
		if err != nil && (!discovery.IsGroupDiscoveryFailedError(err) || len(lists) == 0) {
			return nil, fmt.Errorf("discovering the cluster's resources: %w", answer.Error(ctx, err))
		}
		known, _ := r.list()
		ordered := inOrder(groups, lists, known)
		if len(ordered) > maxKinds {
			return nil, fmt.Errorf("discovering the cluster's resources: there are more than %d", maxKinds)
		}
		size := sizeOf(ordered)
		if r.kept != nil && size > maxDiscovered {
			return nil, fmt.Errorf("discovering the cluster's resources: %w", ErrTooLarge)
		}
		byPlural := map[string][]Resource{}
		for _, found := range ordered {
			plural := found.GroupVersionResource.Resource
			byPlural[plural] = append(byPlural[plural], found)
		}
		r.set(ordered, byPlural, time.Now())
		r.kept.keep(r, size)
		if r.isClosed() { // meanwhile
			r.kept.leave(r)
		}
		return nil, nil
	})
	select {
	case result := <-done:
		return result.Err
	case <-ctx.Done():
		return fmt.Errorf("waiting for the cluster's resources: %w", ctx.Err())
	}
}

// inOrder lists each group's preferred version before its others, and groups in the cluster's own order. What was known of a version is for
// versions that have no list.
func inOrder(groups []*metav1.APIGroup, lists []*metav1.APIResourceList, known []Resource) []Resource {
	byVersion := make(map[string]*metav1.APIResourceList, len(lists))
	for _, l := range lists {
		byVersion[l.GroupVersion] = l
	}
	var out []Resource
	for _, g := range groups {
		versions := []string{g.PreferredVersion.GroupVersion}
		for _, v := range g.Versions {
			if v.GroupVersion != g.PreferredVersion.GroupVersion {
				versions = append(versions, v.GroupVersion)
			}
		}
		for _, v := range versions {
			if l := byVersion[v]; l != nil {
				out = append(out, served(l)...)
				continue
			}
			for _, r := range known {
				if r.GroupVersion().String() == v {
					out = append(out, r)
				}
			}
		}
	}
	return out
}

// served are the kinds of one group and version.
func served(l *metav1.APIResourceList) []Resource {
	gv, err := schema.ParseGroupVersion(l.GroupVersion)
	if err != nil {
		return nil
	}
	subresources := map[string][]string{}
	for i := range l.APIResources {
		if plural, below, ok := strings.Cut(l.APIResources[i].Name, "/"); ok {
			subresources[plural] = append(subresources[plural], below)
		}
	}
	var out []Resource
	for i := range l.APIResources {
		r := &l.APIResources[i]
		if strings.Contains(r.Name, "/") {
			continue
		}
		out = append(out, Resource{
			GroupVersionResource: gv.WithResource(r.Name), Kind: r.Kind, Namespaced: r.Namespaced, Verbs: r.Verbs,
			ShortNames: r.ShortNames, Categories: r.Categories, Subresources: subresources[r.Name],
		})
	}
	return out
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
)

// Resource describes a resource that a cluster serves, according to the discovery of the cluster.
type Resource struct {
	schema.GroupVersionResource

	Kind       string
	Namespaced bool
	Verbs      metav1.Verbs
	ShortNames []string
	Categories []string
	// Subresources are the names of the subresources, for example scale.
	Subresources []string

	// asked is the name with which a caller looked the resource up, for example deployments.apps.
	asked string
}

// catalog is the list of resources that one cluster serves, as found by the last discovery.
type catalog struct {
	// ordered contains all resources in the cluster's order of preference. The core group is the first group, and the
	// preferred version is the first version of each group.
	ordered []Resource
	// byPlural contains the resources with each plural name, in the cluster's order of preference.
	byPlural map[string][]Resource
	// size is the approximate memory of the catalog in bytes.
	size int64
	// unanswered contains the group versions whose resources are unknown. The aggregated API servers of these group
	// versions did not respond to the discovery from which the catalog was built. The previous catalog did not contain
	// the resources either.
	unanswered []schema.GroupVersion
}

// newCatalog builds a catalog from the groups and resource lists that the cluster serves. It copies the resources of
// failed group versions from the previous catalog, which may be nil.
func newCatalog(
	groups []*metav1.APIGroup, lists []*metav1.APIResourceList, failed []schema.GroupVersion, previous *catalog,
) (*catalog, error) {
	byVersion := map[schema.GroupVersion][]Resource{}
	// Without the resources of a failed group version, a plural name could resolve to a resource of another group.
	if previous != nil {
		for _, r := range previous.ordered {
			if slices.Contains(failed, r.GroupVersion()) {
				byVersion[r.GroupVersion()] = append(byVersion[r.GroupVersion()], r)
			}
		}
	}
	for _, l := range lists {
		if gv, err := schema.ParseGroupVersion(l.GroupVersion); err == nil {
			byVersion[gv] = servedResources(gv, l.APIResources)
		}
	}
	c := &catalog{byPlural: map[string][]Resource{}}
	for _, g := range groups {
		for _, gv := range versions(g, failed) {
			found, ok := byVersion[gv]
			if !ok && slices.Contains(failed, gv) {
				c.unanswered = append(c.unanswered, gv)
			}
			c.ordered = append(c.ordered, found...)
		}
	}
	if len(c.ordered) == 0 {
		return nil, ErrNoAPIServer
	}
	if len(c.ordered) > maxResources {
		return nil, fmt.Errorf("the cluster serves more than %d resources", maxResources)
	}
	for _, r := range c.ordered {
		c.byPlural[r.GroupVersionResource.Resource] = append(c.byPlural[r.GroupVersionResource.Resource], r)
	}
	c.size = sizeOf(c.ordered)
	return c, nil
}

// versions returns the versions of the group g, the preferred version first. The result includes the failed versions of
// the group, because aggregated discovery omits them from g.
func versions(g *metav1.APIGroup, failed []schema.GroupVersion) []schema.GroupVersion {
	var out []schema.GroupVersion
	add := func(v string) {
		gv := schema.GroupVersion{Group: g.Name, Version: v}
		if v != "" && !slices.Contains(out, gv) {
			out = append(out, gv)
		}
	}
	add(g.PreferredVersion.Version)
	for _, v := range g.Versions {
		add(v.Version)
	}
	for _, gv := range failed {
		if gv.Group == g.Name {
			add(gv.Version)
		}
	}
	return out
}

// failedVersions returns the group versions in an ErrGroupDiscoveryFailed, sorted by group and then by stability, GA
// first. It returns nil for other errors.
func failedVersions(err error) []schema.GroupVersion {
	lost, ok := errors.AsType[*discovery.ErrGroupDiscoveryFailed](err)
	if !ok {
		return nil
	}
	out := make([]schema.GroupVersion, 0, len(lost.Groups))
	for gv := range lost.Groups {
		out = append(out, gv)
	}
	slices.SortFunc(out, func(a, b schema.GroupVersion) int {
		if byGroup := strings.Compare(a.Group, b.Group); byGroup != 0 {
			return byGroup
		}
		return -version.CompareKubeAwareVersionStrings(a.Version, b.Version)
	})
	return out
}

// servedResources converts the API resources of one group version. It skips resources without verbs, which are served
// only so that RBAC rules can name them.
func servedResources(gv schema.GroupVersion, list []metav1.APIResource) []Resource {
	subresources := map[string][]string{}
	for i := range list {
		if plural, below, ok := strings.Cut(list[i].Name, "/"); ok {
			subresources[plural] = append(subresources[plural], below)
		}
	}
	var out []Resource
	for i := range list {
		r := &list[i]
		if strings.Contains(r.Name, "/") || len(r.Verbs) == 0 {
			continue
		}
		out = append(out, Resource{
			GroupVersionResource: gv.WithResource(r.Name), Kind: r.Kind, Namespaced: r.Namespaced, Verbs: r.Verbs,
			ShortNames: r.ShortNames, Categories: r.Categories, Subresources: subresources[r.Name],
		})
	}
	return out
}

// lookup finds a resource by its name, for example deployments, deployments.apps or deployments.v1.apps. It returns
// false if the catalog does not contain the resource.
func (c *catalog) lookup(name string) (Resource, bool) {
	versioned, grouped := schema.ParseResourceArg(name)
	for _, candidate := range c.byPlural[grouped.Resource] {
		byGroup := grouped.Group == "" || grouped.Group == candidate.Group
		byVersion := versioned != nil && versioned.Group == candidate.Group && versioned.Version == candidate.Version
		if byGroup || byVersion {
			candidate.asked = name
			return candidate, true
		}
	}
	return Resource{}, false
}

// mayExist returns true if discovery has failed for the API group of the named resource. The cluster may then serve the
// resource although lookup does not find it.
func (c *catalog) mayExist(name string) bool {
	versioned, grouped := schema.ParseResourceArg(name)
	return slices.ContainsFunc(c.unanswered, func(gv schema.GroupVersion) bool {
		return gv.Group == grouped.Group || (versioned != nil && gv == versioned.GroupVersion())
	})
}

func groupUnavailableError(name string) error {
	_, grouped := schema.ParseResourceArg(name)
	return unavailable(fmt.Sprintf("the API server of %s does not answer", grouped.String()))
}

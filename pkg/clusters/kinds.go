// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kind returns the resource that serves a kind. If several resources serve the kind, it prefers one that supports the
// verb patch. If the cached discovery lacks the kind, Kind uses a newer discovery. It returns false if the cluster does
// not serve the kind.
func (c *Client) Kind(ctx context.Context, kind schema.GroupVersionKind) (Resource, bool, error) {
	known, err := c.resources.current(ctx)
	if err != nil {
		return Resource{}, false, err
	}
	if found, ok := findKind(known.ordered, kind); ok {
		return found, true, nil
	}
	if known, err = c.resources.recent(ctx); err != nil {
		return Resource{}, false, err
	}
	found, ok := findKind(known.ordered, kind)
	if !ok && slices.Contains(known.unanswered, kind.GroupVersion()) {
		return Resource{}, false, groupUnavailableError(kind.GroupKind().String())
	}
	return found, ok, nil
}

func findKind(known []Resource, kind schema.GroupVersionKind) (Resource, bool) {
	is := func(r Resource) bool { return r.Kind == kind.Kind && r.GroupVersion() == kind.GroupVersion() }
	i := slices.IndexFunc(known, func(r Resource) bool { return is(r) && slices.Contains(r.Verbs, "patch") })
	if i < 0 {
		i = slices.IndexFunc(known, is)
	}
	if i < 0 {
		return Resource{}, false
	}
	return known[i], true
}

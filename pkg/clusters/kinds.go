// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kind finds what the cluster serves of a kind, preferably what can be patched. It is false if the cluster serves
// nothing of it.
func (c *Caller) Kind(ctx context.Context, kind schema.GroupVersionKind) (Resource, bool, error) {
	known, age := c.resources.list()
	found, ok := ofKind(known, kind)
	if (ok && age < discoveryTTL) || (!ok && age < discoveryMinAge) {
		return found, ok, nil
	}
	if err := c.resources.refresh(ctx); err != nil {
		if ok { // an old answer is better than none
			return found, true, nil
		}
		return Resource{}, false, err
	}
	known, _ = c.resources.list()
	found, ok = ofKind(known, kind)
	return found, ok, nil
}

func ofKind(known []Resource, kind schema.GroupVersionKind) (Resource, bool) {
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

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

func TestViewsEqualLive(t *testing.T) {
	own, other := set().Namespace(t, "views"), set().Namespace(t, "views-b")
	for _, ns := range []string{own, other} {
		for n := range 3 {
			configMap(t, ns, fmt.Sprintf("view-%d", n), map[string]string{"view": own}, "")
		}
		set().Pod(t, ns, "view-pod")
	}
	without := withoutCache(t)
	for name, p := range map[string]person{
		"everything": bound(t, "readonly"), "one namespace": bound(t, "readonly", own),
		"nothing": bound(t, "readonly", "default"),
	} {
		for _, path := range []string{
			"/search?q=view-&types=configmaps,pods", "/search?q=view%3D" + own + "&types=configmaps",
			"/search?q=view-pod&types=pods&namespace=" + own,
			"/namespaces/" + own + "/topology", "/overview", "/quota-summary",
		} {
			t.Run(name+" "+path, func(t *testing.T) {
				fixture.Eventually(t, "wait for equal views", func(context.Context) error {
					live := p
					live.client = without
					cached, direct := p.get(t, path), live.get(t, path)
					if direct.Meta.Source == fromCache || cached.Code != direct.Code ||
						cached.Message != direct.Message {
						return fmt.Errorf(
							"code %d (%s), and live %d (%s) from %q",
							cached.Code,
							cached.Message,
							direct.Code,
							direct.Message,
							direct.Meta.Source,
						)
					}
					if a, b := canonical(t, cached.Data), canonical(t, direct.Data); a != b {
						return fmt.Errorf("%.2000s\nand live\n%.2000s", a, b)
					}
					if cached.Meta.Partial != direct.Meta.Partial ||
						!slices.Equal(cached.Meta.Namespaces, direct.Meta.Namespaces) {
						return fmt.Errorf("meta %+v, and live %+v", cached.Meta, direct.Meta)
					}
					return nil
				})
			})
		}
		if name == "everything" {
			if e := p.get(t, "/search?q=view-&types=configmaps,pods"); e.Meta.Source != fromCache {
				t.Errorf("a search is from %q", e.Meta.Source)
			}
		}
	}
}

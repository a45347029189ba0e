// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestRightTakenAway verifies that a right that is revoked on the cluster is lost within a second.
func TestRightTakenAway(t *testing.T) {
	ns := set().Namespace(t, "taken")
	configMap(t, ns, "c", nil, "")
	bound(t, "readonly").cached(t, in(ns, "configmaps")) // keeps the kind in the cache during the test
	p := newPerson(t, "taken")
	p.get(t, in(ns, "configmaps")).Want(t, wire.ClusterForbidden)
	set().Bind(
		t,
		"stays",
		fixture.Grant{
			Role:       "readonly",
			Subjects:   fixture.KubeVisionUsers(p.User),
			Cluster:    host,
			Namespaces: []string{"default"},
		},
	)
	p.get(t, in(ns, "configmaps")).Want(t, wire.NamespaceForbidden)
	for range 3 {
		binding := set().Bind(
			t,
			"taken",
			fixture.Grant{
				Role:       "readonly",
				Subjects:   fixture.KubeVisionUsers(p.User),
				Cluster:    host,
				Namespaces: []string{ns},
			},
		)
		p.cached(t, in(ns, "configmaps"))
		p.cached(t, in(ns, "configmaps", "c"))
		set().Delete(t, binding)
		set().Gone(t, binding)
		time.Sleep(time.Second)
		for _, path := range []string{in(ns, "configmaps"), in(ns, "configmaps", "c")} {
			p.get(t, path).Want(t, wire.NamespaceForbidden)
		}
		if got := names(t, p.get(t, "/resources/configmaps?fieldSelector=metadata.namespace%3D"+ns)); len(got) != 0 {
			t.Errorf("got %v", got)
		}
	}
}

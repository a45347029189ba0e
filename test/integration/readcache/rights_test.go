// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

// TestKindThatTheAccountMayNotList verifies reads of a kind that the account of the read cache may not list. A user who
// may list the kind gets a complete list from the API server.
func TestKindThatTheAccountMayNotList(t *testing.T) {
	ns := set().Namespace(t, "unlisted")
	set().Create(t, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "mine"}})
	p, path := bound(t, "admin"), in(ns, "leases.coordination.k8s.io")
	fixture.Eventually(t, "read Leases", func(context.Context) error {
		if e := p.get(t, path); e.Code != wire.OK {
			return fmt.Errorf("code %d (%s)", e.Code, e.Message)
		}
		return nil
	})
	for range 5 { // the cache tries to list the kind again
		e := p.get(t, path)
		if got := names(t, e); e.Meta.Source != fromAPIServer || !slices.Equal(got, []string{"mine"}) {
			t.Errorf("%v from %q", got, e.Meta.Source)
		}
		time.Sleep(500 * time.Millisecond)
	}
}

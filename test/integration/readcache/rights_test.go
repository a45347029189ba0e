// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestRightTakenAway: a right that is taken away on the cluster is gone within a second.
func TestRightTakenAway(t *testing.T) {
	ns := set().Namespace(t, "taken")
	configMap(t, ns, "c", nil, "")
	bound(t, "readonly").cached(t, in(ns, "configmaps")) // the cache has it whatever happens to others
	p := newPerson(t, "taken")
	p.get(t, in(ns, "configmaps")).Want(t, wire.ClusterForbidden)
	set().Bind(t, "stays", fixture.Grant{Role: "readonly", Subjects: fixture.KubeVisionUsers(p.User), Cluster: host, Namespaces: []string{"default"}})
	p.get(t, in(ns, "configmaps")).Want(t, wire.NamespaceForbidden)
	for range 3 {
		binding := set().Bind(t, "taken", fixture.Grant{Role: "readonly", Subjects: fixture.KubeVisionUsers(p.User), Cluster: host, Namespaces: []string{ns}})
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

// TestReadersTogether: many read one cache, while bindings come and go. Nobody ever gets what is not theirs, not even
// as a number.
func TestReadersTogether(t *testing.T) {
	own, other := set().Namespace(t, "own"), set().Namespace(t, "other")
	for n := range 10 {
		configMap(t, own, fmt.Sprintf("own%d", n), map[string]string{"together": own}, "")
		configMap(t, other, fmt.Sprintf("other%d", n), map[string]string{"together": own}, "secret")
	}
	admin, viewer, nobody := bound(t, "readonly"), bound(t, "readonly", own), bound(t, "readonly", "default")
	const list = "/resources/configmaps"
	selected := list + "?labelSelector=together%3D" + own
	fixture.Eventually(t, "wait for all objects", func(context.Context) error {
		if all := admin.cached(t, selected); *all.Meta.Total != 20 {
			return fmt.Errorf("%d objects", *all.Meta.Total)
		}
		return nil
	})
	viewer.cached(t, selected)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for n := range 16 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				switch n % 4 {
				case 0:
					if e := admin.get(t, selected).Want(t, wire.OK); len(items(t, e)) != 20 || *e.Meta.Total != 20 || e.Meta.Partial {
						t.Errorf("the administrator gets %d objects, total %d", len(items(t, e)), *e.Meta.Total)
					}
				case 1:
					only(t, viewer.get(t, list), own)
					only(t, viewer.get(t, list+"?q=o&limit=3&sortBy=name"), own)
				case 2:
					only(t, viewer.get(t, selected), own)
					viewer.get(t, in(other, "configmaps")).Want(t, wire.NamespaceForbidden)
					viewer.get(t, in(other, "configmaps", "other1")).Want(t, wire.NamespaceForbidden)
				default:
					if e := nobody.get(t, selected).Want(t, wire.OK); len(items(t, e)) != 0 || *e.Meta.Total != 0 {
						t.Errorf("nobody gets %s", e.Data)
					}
					nobody.get(t, in(own, "configmaps", "own1")).Want(t, wire.NamespaceForbidden)
				}
			}
		})
	}
	passer := newPerson(t, "passer")
	for range 3 {
		set().Delete(t, set().Bind(t, "passing", fixture.Grant{
			Role: "readonly", Subjects: fixture.KubeVisionUsers(passer.User), Cluster: host, Namespaces: []string{own},
		}))
	}
	time.Sleep(time.Second)
	close(stop)
	readers.Wait()
}

// only checks that all objects are of one namespace, and so are the numbers.
func only(t *testing.T, e wire.Envelope, namespace string) {
	t.Helper()
	found := items(t, e)
	for _, o := range found {
		if ns, name := key(o); ns != namespace {
			t.Errorf("%s/%s is shown", ns, name)
		}
	}
	if !e.Meta.Partial || len(e.Meta.Namespaces) != 1 || e.Meta.Namespaces[0] != namespace || e.Meta.Total == nil || *e.Meta.Total > 11 {
		t.Errorf("meta %+v", e.Meta)
	}
}

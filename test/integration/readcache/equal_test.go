// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestEqualsLive verifies that responses from the read cache equal responses from the API server. The test compares the
// responses for users with access to all namespaces, to two namespaces, or only to an unrelated namespace.
func TestEqualsLive(t *testing.T) {
	one, two, foreign := set().Namespace(t, "equal"), set().Namespace(t, "equal-b"), set().Namespace(t, "equal-c")
	for i, ns := range []string{one, two, foreign} {
		for n := range 5 {
			configMap(
				t,
				ns,
				fmt.Sprintf("c%d", n),
				map[string]string{"equal": one, "n": strconv.Itoa(n)},
				fmt.Sprintf("%03d", 9-n),
			)
		}
		set().Pod(t, ns, fmt.Sprintf("p%d", i))
	}
	people := map[string]person{
		"everything": bound(
			t,
			"readonly",
		), "two namespaces": bound(t, "readonly", one, two), "nothing": bound(t, "readonly", "default"),
	}
	mine := "labelSelector=equal%3D" + one
	paths := []string{
		"/resources/configmaps?" + mine, in(one, "configmaps") + "?" + mine, in(two, "pods"), in(foreign, "pods"),
		"/resources/pods?fieldSelector=metadata.namespace%3D" + two,
		in(one, "pods") + "?fieldSelector=status.phase%3DPending",
		in(one, "pods") + "?fieldSelector=status.phase!%3DPending",
		in(
			one,
			"configmaps",
		) + "?fieldSelector=metadata.name%3Dc1", in(one, "configmaps") + "?labelSelector=n+in+(1,3),equal",
		"/resources/configmaps?" + mine + "&q=C3",
		"/resources/configmaps?" + mine + "&sortBy=data.value&order=desc&limit=4",
		"/resources/configmaps?" + mine + "&sortBy=namespace",
		"/resources/configmaps?" + mine + "&sortBy=name&order=desc",
		"/resources/configmaps?" + mine + "&sortBy=age", in(one, "configmaps") + "?sortBy=spec.none",
		"/resources/namespaces?fieldSelector=status.phase%3DActive", "/resources/namespaces?q=equal",
		"/resources/nodes",
		"/resources/clusterroles?limit=3", "/resources/services", "/resources/deployments.apps", "/resources/secrets",
		in(
			one,
			"configmaps",
			"c1",
		), in(one, "configmaps", "none"), in(one, "secrets", "none"), "/resources/namespaces/" + one,
		in(one, "pods") + "?fieldSelector=spec.none%3D1", in(one, "pods") + "?labelSelector=%3D%3D",
	}
	for name, p := range people {
		for _, path := range paths {
			t.Run(name+" "+path, func(t *testing.T) { compare(t, p, path) })
		}
	}
	for _, path := range []string{"/resources/configmaps?" + mine, in(one, "pods"), "/resources/namespaces?q=equal",
		in(one, "configmaps", "c1")} {
		for _, name := range []string{"everything", "two namespaces"} {
			if e := people[name].get(t, path); e.Meta.Source != fromCache {
				t.Errorf("%s: %s is from %q: %s", name, path, e.Meta.Source, e.Message)
			}
		}
	}
}

// compare waits until the response for a path is the same with and without the read cache. Changes of objects reach the
// cache with a delay.
func compare(t *testing.T, p person, path string) {
	t.Helper()
	fixture.Eventually(t, "wait for equal answers", func(context.Context) error {
		cached, direct := p.get(t, path), p.get(t, live(path))
		if direct.Meta.Source == fromCache {
			return errors.New("a live answer is from the cache")
		}
		if strings.Contains(path, "secrets") && cached.Meta.Source == fromCache {
			return errors.New("Secrets are from the cache")
		}
		if cached.Code != direct.Code || cached.Message != direct.Message || cached.Meta.Field != direct.Meta.Field {
			return fmt.Errorf(
				"code %d (%s), and live %d (%s)",
				cached.Code,
				cached.Message,
				direct.Code,
				direct.Message,
			)
		}
		if a, b := canonical(t, cached.Data), canonical(t, direct.Data); a != b {
			return fmt.Errorf("%.2000s\nand live\n%.2000s", a, b)
		}
		if cached.Meta.Partial != direct.Meta.Partial || !slices.Equal(cached.Meta.Namespaces, direct.Meta.Namespaces) {
			return fmt.Errorf("meta %+v, and live %+v", cached.Meta, direct.Meta)
		}
		if direct.Meta.Total != nil && (cached.Meta.Total == nil || *cached.Meta.Total != *direct.Meta.Total) {
			return fmt.Errorf("the total is %v, and live %v", cached.Meta.Total, *direct.Meta.Total)
		}
		return nil
	})
}

// TestPages verifies that the pages of a list contain each object once, even if an object is created between the
// requests. The server rejects the continue token of a different list.
func TestPages(t *testing.T) {
	ns := set().Namespace(t, "pages")
	p := bound(t, "readonly", ns)
	for n := range 7 {
		configMap(t, ns, fmt.Sprintf("c%d", 2*n), map[string]string{"page": "1"}, "")
	}
	list := in(ns, "configmaps") + "?labelSelector=page&limit=3"
	fixture.Eventually(t, "wait for the objects", func(context.Context) error {
		if e := p.cached(t, list); e.Meta.Total == nil || *e.Meta.Total != 7 {
			return fmt.Errorf("total %v", e.Meta.Total)
		}
		return nil
	})
	first := p.get(t, list)
	configMap(t, ns, "c1", map[string]string{"page": "1"}, "") // on the page that was read already
	second := p.get(t, list+"&continue="+first.Meta.Continue)
	third := p.get(t, list+"&continue="+second.Meta.Continue)
	got := slices.Concat(names(t, first), names(t, second), names(t, third))
	if want := []string{"c0", "c10", "c12", "c2", "c4", "c6", "c8"}; !slices.Equal(got, want) ||
		third.Meta.Continue != "" {
		t.Errorf("got %v, want %v", got, want)
	}
	if second.Meta.Source != fromCache || second.Meta.Total != nil {
		t.Errorf("the second page is from %q, of %v", second.Meta.Source, second.Meta.Total)
	}
	for _, path := range []string{in(ns, "configmaps") + "?limit=3", in(ns, "pods") + "?labelSelector=page&limit=3",
		live(list)} {
		if e := p.get(t, path+"&continue="+first.Meta.Continue).Want(t, wire.Invalid); e.Meta.Field != "continue" {
			t.Errorf("%s: the field is %q", path, e.Meta.Field)
		}
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/environment"
)

// behind creates a user of a replica whose read cache receives its events late.
func behind(t *testing.T, lag time.Duration, role string, namespaces ...string) person {
	t.Helper()
	proxy, err := environment.NewWatchProxy(env.Cluster.AnonymousConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	proxy.Delay(lag)
	replica, err := env.StartAPIServerThrough(t.Context(), proxy, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := replica.Stop(); err != nil {
			t.Error(err)
		}
	})
	p := bound(t, role, namespaces...)
	if p.client, err = wire.New(replica.Endpoint(), env.KubeVision.CAPEM()); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestWriteThenRead verifies that a user who has changed an object sees the change in the next response. In the test,
// the read cache receives watch events late.
func TestWriteThenRead(t *testing.T) {
	ns := set().Namespace(t, "fresh")
	p := behind(t, 100*time.Millisecond, "dev", ns)
	p.cached(t, in(ns, "configmaps"))
	hits := 0
	read := func(want bool, name string) {
		e := p.get(t, in(ns, "configmaps"))
		if got := names(t, e); slices.Contains(got, name) != want {
			t.Errorf("%s is in %v: want %v", name, got, want)
		}
		if e.Meta.Source == fromCache {
			hits++
		}
	}
	const rounds = 10
	for n := range rounds {
		name := fmt.Sprintf("c%d", n)
		p.send(
			t,
			http.MethodPost,
			in(ns, "configmaps"),
			fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q}}`, name),
		).Want(
			t,
			wire.OK,
		)
		read(true, name)
		p.send(t, http.MethodPatch, in(ns, "configmaps", name), fmt.Sprintf(`{"data":{"n":"%d"}}`, n)).Want(t, wire.OK)
		var o struct{ Data map[string]string }
		p.get(t, in(ns, "configmaps", name)).Want(t, wire.OK).Into(t, &o)
		if o.Data["n"] != strconv.Itoa(n) {
			t.Errorf("%s has %v", name, o.Data)
		}
		p.send(t, http.MethodDelete, in(ns, "configmaps", name), "").Want(t, wire.OK)
		read(false, name)
		p.get(t, in(ns, "configmaps", name)).Want(t, wire.NotFound)
	}
	if hits < rounds {
		t.Errorf("%d of %d lists are from the cache", hits, 2*rounds)
	}
}

func TestNotModified(t *testing.T) {
	ns := set().Namespace(t, "tag")
	p := bound(t, "dev", ns)
	other := bound(t, "readonly", ns)
	for _, path := range []string{in(ns, "configmaps"), in(ns, "configmaps", "tagged"), "/resources/configmaps"} {
		p.send(
			t,
			http.MethodPost,
			in(ns, "configmaps"),
			`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"tagged"}}`,
		).Want(
			t,
			wire.OK,
		)
		other.cached(t, in(ns, "configmaps"))
		p.cached(t, path)
		r := p.request(path)
		first := p.client.Send(t, r)
		tag := first.Header.Get("ETag")
		r.Header = http.Header{"If-None-Match": {tag}}
		if e := p.client.Call(t, r).Want(t, wire.OK); string(e.Data) != "null" || !e.Meta.NotModified || tag == "" {
			t.Errorf("%s with %q: %s, %+v", path, tag, e.Data, e.Meta)
		}
		o := other.request(path)
		o.Header = r.Header
		if e := other.client.Call(t, o).Want(t, wire.OK); e.Meta.NotModified {
			t.Errorf("%s: the tag of somebody else counts", path)
		}
		p.send(t, http.MethodPatch, in(ns, "configmaps", "tagged"), `{"data":{"a":"b"}}`).Want(t, wire.OK)
		if e := p.client.Call(t, r).Want(t, wire.OK); e.Meta.NotModified || string(e.Data) == "null" {
			t.Errorf("%s: a change is not shown: %+v", path, e.Meta)
		}
		p.send(t, http.MethodDelete, in(ns, "configmaps", "tagged"), "").Want(t, wire.OK)
	}
}

// TestGzip verifies that a compressed response contains the same data as an uncompressed response. Responses with
// Secrets are not compressed.
func TestGzip(t *testing.T) {
	ns := set().Namespace(t, "gzip")
	p := bound(t, "dev", ns)
	for n := range 150 {
		configMap(t, ns, fmt.Sprintf("c%03d", n), map[string]string{"odd": strconv.Itoa(n % 2)}, strconv.Itoa(n))
	}
	fixture.Eventually(t, "wait for all objects", func(context.Context) error {
		if e := p.cached(t, in(ns, "configmaps?labelSelector=odd")); *e.Meta.Total != 150 {
			return fmt.Errorf("%d objects", *e.Meta.Total)
		}
		return nil
	})
	secrets := p.request(in(ns, "secrets"))
	secrets.Header = http.Header{"Accept-Encoding": {"gzip"}}
	if header := p.client.Send(t, secrets).Header; header.Get("Content-Encoding") != "" {
		t.Errorf("the header of Secrets is %v", header)
	}
	for round := range 2 {
		for _, query := range []string{"", "?limit=100", "?labelSelector=odd%3D1", "?sortBy=name&order=desc",
			"?q=none-at-all"} {
			plain := p.get(t, in(ns, "configmaps")+query)
			r := p.request(in(ns, "configmaps") + query)
			r.Header = http.Header{"Accept-Encoding": {"gzip"}}
			response := p.client.Send(t, r)
			if response.Header.Get("Content-Encoding") != "gzip" || response.Header.Get("Vary") == "" {
				t.Fatalf("%q: the header is %v", query, response.Header)
			}
			reader, err := gzip.NewReader(bytes.NewReader(response.Body))
			if err != nil {
				t.Fatal(err)
			}
			size := len(response.Body)
			if response.Body, err = io.ReadAll(reader); err != nil {
				t.Fatal(err)
			}
			if e := response.Envelope(t); !bytes.Equal(e.Data, plain.Data) || (query == "" && size > len(e.Data)/3) {
				t.Errorf("%q: %d bytes in %d, and plain %d", query, len(e.Data), size, len(plain.Data))
			}
		}
		p.send(
			t,
			http.MethodPatch,
			in(ns, "configmaps", "c070"),
			fmt.Sprintf(`{"data":{"round":"%d"}}`, round),
		).Want(
			t,
			wire.OK,
		)
	}
}

// TestChangesArrive verifies that a list from the read cache soon contains an object that another client has created.
func TestChangesArrive(t *testing.T) {
	const writes, soon = 20, 250 * time.Millisecond
	ns := set().Namespace(t, "arrive")
	p := bound(t, "readonly", ns)
	p.cached(t, in(ns, "configmaps"))
	var took []time.Duration
	for n := range writes {
		name := fmt.Sprintf("c%d", n)
		configMap(t, ns, name, nil, "")
		begun := time.Now()
		for !slices.Contains(names(t, p.get(t, in(ns, "configmaps"))), name) && time.Since(begun) < 10*time.Second {
			time.Sleep(time.Millisecond)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	t.Logf("median %s, longest %s", took[writes/2], took[writes-1])
	if took[writes/2] > soon {
		t.Errorf("the median is %s", took[writes/2])
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"errors"
	"flag"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/environment"
)

var readCache = flag.String("read-cache", "on",
	"the read cache of the installation that is started: on, off, or stale, with watches that break again and again")

const (
	cacheOn  = "--read-cache-bytes=67108864"
	cacheOff = "--read-cache-bytes=0"
)

// testOtherCaches starts two replicas of kubevision-apiserver, one with a disabled and one with a stale read
// cache. Each replica gets the test requests that read from a cluster.
func testOtherCaches(t *testing.T, c *cast) {
	t.Helper()
	if !target.Started || *readCache != "on" {
		return
	}
	reads := c.clusterReads()
	off, err := target.Environment.KubeVision.StartAPIServer(t.Context(), 0, cacheOff)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = off.Kill() })
	t.Run("cache off", func(t *testing.T) {
		d := directDoor(t, off.Endpoint())
		for _, name := range slices.Sorted(maps.Keys(reads)) {
			t.Run(name, func(t *testing.T) {
				if e := d.check(t, c, reads[name]); e.Meta.Source == "cache" || e.Meta.Stale {
					t.Errorf("meta is %+v", e.Meta)
				}
			})
		}
	})

	proxy, err := environment.NewWatchProxy(target.Environment.Cluster.AnonymousConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	stale, err := target.Environment.StartAPIServerThrough(t.Context(), proxy, 0, cacheOn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stale.Kill() })
	t.Run("cache stale", func(t *testing.T) {
		d := directDoor(t, stale.Endpoint())
		for _, name := range slices.Sorted(maps.Keys(reads)) {
			d.check(t, c, reads[name]) // fills the cache
		}
		time.Sleep(1100 * time.Millisecond) // A Reflector lists again after a watch of less than a second.
		proxy.Break()
		list := c.successes()["a list"]
		request, client, _ := d.request(c, list)
		fixture.Eventually(t, "wait for stale answers", func(ctx context.Context) error {
			response, err := client.Do(ctx, request)
			if err != nil {
				return err
			}
			e, err := response.Parse()
			if err == nil && !e.Meta.Stale {
				err = errors.New("the answer is not stale")
			}
			return err
		})
		answers := 0
		for _, name := range slices.Sorted(maps.Keys(reads)) {
			t.Run(name, func(t *testing.T) {
				if e := d.check(t, c, reads[name]); e.Meta.Stale {
					answers++
				}
			})
		}
		if least := len(c.successes()) / 2; answers < least {
			t.Errorf("%d answers are stale, want %d", answers, least)
		}
	})
}

func (c *cast) clusterReads() map[string]probe {
	reads := c.probes()
	maps.DeleteFunc(reads, func(name string, p probe) bool {
		method := p.request.Method
		isRead := (method == "" || method == http.MethodGet) && strings.HasPrefix(p.request.Path, "/clusters/")
		return !isRead || strings.HasPrefix(name, "life of an object") // the steps depend on each other
	})
	return reads
}

func directDoor(t *testing.T, endpoint string) door {
	t.Helper()
	client, err := wire.New(endpoint, target.DirectCA)
	if err != nil {
		t.Fatal(err)
	}
	return door{base: wire.DirectPath, client: client, direct: true, anonymous: true}
}

func (d door) check(t *testing.T, c *cast, p probe) wire.Envelope {
	t.Helper()
	request, client, ok := d.request(c, p)
	if !ok {
		t.Fatal("the door cannot transport the credential")
	}
	e := client.Call(t, request).Want(t, p.want)
	checkField(t, p, e)
	checkData(t, p, e)
	return e
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package limits

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// cachedMiB is the maximum memory of the server in MiB, while the read cache is full and clients send many requests.
// The rest of the memory limit of 1 GiB must remain free for other kinds of requests.
const cachedMiB = 700

// readCache is the flag that sets the size of the read cache to 192 MiB. This size is the documented default, for which
// the memory limit of the Deployment is sufficient.
const readCache = "--read-cache-bytes=201326592"

const (
	cachePatience    = 2 * time.Minute
	deletionPatience = 5 * time.Minute
)

func awaitCached(t *testing.T, r *localcluster.APIServer, path, token string) {
	t.Helper()
	c, err := wire.New(r.Endpoint(), env.KubeVision.CAPEM())
	if err != nil {
		t.Fatal(err)
	}
	request := wire.Request{Path: wire.DirectPath + path, Bearer: token}
	cached := func(ctx context.Context) error {
		response, err := c.Do(ctx, request)
		if err != nil {
			return err
		}
		e, err := response.Parse()
		if err == nil && e.Meta.Source != "cache" {
			err = fmt.Errorf("code %d from %q", e.Code, e.Meta.Source)
		}
		return err
	}
	if err := localcluster.Poll(t.Context(), cachePatience, "wait for the read cache", cached); err != nil {
		t.Fatal(err)
	}
}

func objectsOf(ns string) string {
	return "/clusters/" + host + "/namespaces/" + ns + "/resources/configmaps"
}

// TestFullReadCache verifies that the memory of the server is limited while the read cache is full. The test lists from
// the cache and from the cluster concurrently, and creates more objects than the cache can hold.
func TestFullReadCache(t *testing.T) {
	ns := createConfigMaps(t, "cached", 43, large) // 30 MB
	r := replica(t, readCache)
	token := token(t, r, "dev", ns)
	path := objectsOf(ns)
	awaitCached(t, r, path, token)
	codes := flood(t, client(t), 48, get(r.Endpoint(), path, token))
	if codes[wire.OK] == 0 || codes[noAnswer] > 0 {
		t.Errorf("lists of the cache: %v", codes)
	}
	more := createConfigMaps(t, "more", 200, large) // 140 MB
	codes = flood(t, client(t), 24, get(r.Endpoint(), path+"?sortBy=data.value&order=desc", token))
	if codes[wire.OK] == 0 {
		t.Errorf("sorted lists: %v", codes)
	}
	flood(t, client(t), 24, get(r.Endpoint(), path+"?source=live", token))
	survives(t, r, cachedMiB)
	evenMore := createConfigMaps(t, "even-more", 100, large) // more than the cache can hold
	flood(t, client(t), 24, get(r.Endpoint(), path, token))
	answered(t, get(r.Endpoint(), path+"?limit=1", token))
	survives(t, r, cachedMiB)
	for _, name := range []string{more, evenMore, ns} {
		set().Delete(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	// With these objects, the kind would not fit into the read cache of the replica of the next test, which would read
	// the kind from the cluster.
	for _, name := range []string{more, evenMore, ns} {
		awaitEmpty(t, name)
	}
}

func awaitEmpty(t *testing.T, namespace string) {
	t.Helper()
	left := &metav1.PartialObjectMetadataList{}
	left.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	empty := func(ctx context.Context) error {
		if err := env.Client.List(ctx, left, ctrlclient.InNamespace(namespace), ctrlclient.Limit(1)); err != nil {
			return err
		}
		if len(left.Items) > 0 {
			return fmt.Errorf("namespace %s has ConfigMaps", namespace)
		}
		return nil
	}
	if err := localcluster.Poll(t.Context(), deletionPatience, "wait for deletions", empty); err != nil {
		t.Fatal(err)
	}
}

// TestSlowReadersOfTheCache verifies that slow clients cannot keep many old versions of cached objects in memory. The
// clients request lists, but do not read the responses. Meanwhile, the test replaces all objects repeatedly.
func TestSlowReadersOfTheCache(t *testing.T) {
	const objects, versions = 20, 24
	ns := createConfigMaps(t, "slow", objects, large) // 14 MB
	r := replica(t, readCache)
	token := token(t, r, "dev", ns)
	path := objectsOf(ns)
	awaitCached(t, r, path, token)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(env.KubeVision.CAPEM())
	var readers sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for version := range versions {
		for range 2 {
			request, err := get(r.Endpoint(), path, token)(ctx)
			if err != nil {
				t.Fatal(err)
			}
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
			t.Cleanup(transport.CloseIdleConnections)
			response, err := (&http.Client{Transport: transport}).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.CopyN(io.Discard, response.Body, 1<<10)
			readers.Go(func() {
				<-ctx.Done()
				_ = response.Body.Close()
			})
		}
		value := strings.Repeat(fmt.Sprintf("%016d", version), large/16)
		for n := range objects {
			if err := env.Client.Update(t.Context(), &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprintf("large-%d", n)},
				Data:       map[string]string{"value": value},
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	time.Sleep(time.Second) // the last events must arrive
	survives(t, r, 400)
	cancel()
	readers.Wait()
	answered(t, get(r.Endpoint(), path, token))
}

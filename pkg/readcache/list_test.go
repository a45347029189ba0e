// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// emptyCluster is a fake API server without objects. It records the queries, and never responds to a watch request.
type emptyCluster struct {
	mu      sync.Mutex
	queries []url.Values
}

func (c *emptyCluster) Reader(context.Context) (rest.Interface, error) {
	return rest.UnversionedRESTClientForConfigAndClient(&rest.Config{
		Host: "http://cluster", QPS: -1,
		ContentConfig: rest.ContentConfig{NegotiatedSerializer: scheme.Codecs.WithoutConversion()},
	}, &http.Client{Transport: c})
}

func (*emptyCluster) Done() <-chan struct{} { return nil }

// RoundTrip implements http.RoundTripper.
func (c *emptyCluster) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.queries = append(c.queries, r.URL.Query())
	c.mu.Unlock()
	if r.URL.Query().Has("watch") {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(strings.NewReader(`{"metadata":{"resourceVersion":"1"},"items":[]}`)),
	}, nil
}

// TestFirstListIsConsistent verifies that the first list of a kind is a consistent read, without a resource version or
// a limit. The cache is current after this list, even if the list is empty and the watch has not begun.
func TestFirstListIsConsistent(t *testing.T) {
	c, f := runCache(t, 1<<20), &emptyCluster{}
	v, ok := c.Get(t.Context(), f, core("a"), "Kind", "u")
	if !ok || v.Stale || v.Count != 0 {
		t.Fatalf("cached: %t, stale: %t", ok, v.Stale)
	}
	var queries []url.Values
	for begun := time.Now(); len(queries) < 2 && time.Since(begun) < firstListTimeout; time.Sleep(time.Millisecond) {
		f.mu.Lock()
		queries = f.queries
		f.mu.Unlock()
	}
	if len(queries) != 2 || queries[0].Has("watch") || queries[0].Has("limit") ||
		queries[0].Has("resourceVersion") || queries[1].Get("resourceVersion") != "1" {
		t.Errorf("the queries are %v", queries)
	}
}

// TestRepeatedLists verifies that each list is a consistent read, even if a Reflector asks for a resource version. With
// a resource version, an API server may return a state from before the request.
func TestRepeatedLists(t *testing.T) {
	f := &emptyCluster{}
	s := &source{
		cluster: f, resource: core("a"), pace: newPace(), beforeList: func() {}, late: func() {}, noted: func(error) {},
		keep:        func(o *Object, _ bool) (*Object, error) { return o, nil },
		countMemory: func(int64) error { return nil },
	}
	for _, version := range []string{"", "0", "5"} {
		options := metav1.ListOptions{ResourceVersion: version, Limit: 500}
		if _, err := s.ListWithContext(t.Context(), options); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.queries) != 3 {
		t.Errorf("%d requests, want 3", len(f.queries))
	}
	for _, query := range f.queries {
		if query.Has("resourceVersion") || query.Has("resourceVersionMatch") || query.Has("limit") {
			t.Errorf("the query is %v", query)
		}
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

type endingCluster struct {
	server *httptest.Server

	mu             sync.Mutex
	lists, watches int
	// stopCh is closed to end the open watches. The field abort determines whether the server aborts or completes the
	// responses.
	stopCh chan struct{}
	abort  bool
}

func newEndingCluster(t *testing.T) *endingCluster {
	t.Helper()
	e := &endingCluster{stopCh: make(chan struct{})}
	e.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		listing, stopCh := r.URL.Query().Get("watch") == "", e.stopCh
		if listing {
			e.lists++
		} else {
			e.watches++
		}
		content := e.lists
		e.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if listing {
			_, _ = fmt.Fprintf(w, `{"metadata":{"resourceVersion":"5"},"items":[{"metadata":{"name":"o",`+
				`"namespace":"n","resourceVersion":"1"},"list":%d}]}`, content)
			return
		}
		if flusher, ok := w.(http.Flusher); ok {
			flusher.Flush()
		}
		select {
		case <-stopCh:
		case <-r.Context().Done():
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.abort {
			panic(http.ErrAbortHandler)
		}
	}))
	e.server.EnableHTTP2 = true
	e.server.StartTLS()
	t.Cleanup(func() {
		e.endWatches(false)
		e.server.CloseClientConnections()
		e.server.Close()
	})
	return e
}

func (e *endingCluster) endWatches(abort bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.abort = abort
	close(e.stopCh)
	e.stopCh = make(chan struct{})
}

func (e *endingCluster) Reader(context.Context) (rest.Interface, error) {
	return rest.UnversionedRESTClientForConfigAndClient(&rest.Config{
		Host: e.server.URL, ContentConfig: rest.ContentConfig{NegotiatedSerializer: scheme.Codecs.WithoutConversion()},
	}, e.server.Client())
}

func (*endingCluster) Done() <-chan struct{} { return nil }

// requests waits until the server has received more than count requests. It then returns the numbers of list requests
// and of watch requests.
func (e *endingCluster) requests(t *testing.T, count int) (lists, watches int) {
	t.Helper()
	for range 1000 {
		e.mu.Lock()
		lists, watches = e.lists, e.watches
		e.mu.Unlock()
		if lists+watches > count {
			return lists, watches
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("there were only %d lists and %d watches", lists, watches)
	return 0, 0
}

// TestEndsOfWatches verifies what the cache does when a watch ends early:
//   - Normally, the cache starts another watch without a new list.
//   - The cache lists custom resources again if their watch has ended without an error, because the
//     CustomResourceDefinition may have changed.
func TestEndsOfWatches(t *testing.T) {
	for name, test := range map[string]struct {
		group string
		abort bool
		lists int
	}{
		"a built-in kind":                   {"apps", false, 1},
		"a built-in kind, by a broken line": {"apps", true, 1},
		"a custom kind":                     {"example.com", false, 2},
		"a custom kind, by a broken line":   {"example.com", true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, e := runCache(t, 1<<20), newEndingCluster(t)
			r := schema.GroupVersionResource{Group: test.group, Version: "v1", Resource: "things"}
			get := func() string {
				v, ok := c.Get(t.Context(), e, r, "Thing", "u")
				if !ok {
					return ""
				}
				return string(v.Get("n", "o").JSON)
			}
			if text := get(); !strings.Contains(text, `"list":1`) {
				t.Fatalf("got %q", text)
			}
			time.Sleep(1100 * time.Millisecond) // a Reflector lists again after a watch of less than a second
			e.endWatches(test.abort)
			lists, watches := e.requests(t, 2)
			if lists != test.lists || watches > 2 {
				t.Errorf("%d lists and %d watches, want %d lists", lists, watches, test.lists)
			}
			for range 100 {
				if strings.Contains(get(), fmt.Sprintf(`"list":%d`, test.lists)) {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Errorf("the cache has %s", get())
		})
	}
}

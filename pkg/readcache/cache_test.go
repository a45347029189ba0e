// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/pkg/rawjson"
)

// fakeCluster is an API server with responses that kube-apiserver does not give: objects of any size, and Secrets
// without authorization.
type fakeCluster struct {
	server *httptest.Server
	done   chan struct{}
	// count is the number of objects of each kind.
	count, size int
	reads       atomic.Int64
}

func newFakeCluster(t *testing.T, size int) *fakeCluster {
	t.Helper()
	f := &fakeCluster{count: 2, size: size, done: make(chan struct{})}
	f.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.reads.Add(1)
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("watch") == "" {
			var objects []string
			for n := range f.count {
				objects = append(objects, fmt.Sprintf(`{"metadata":{"name":"o%d","namespace":"n",`+
					`"resourceVersion":"%d"},"data":%q}`, n, n+1, strings.Repeat("x", f.size)))
			}
			_, _ = fmt.Fprintf(w, `{"metadata":{"resourceVersion":"%d"},"items":[%s]}`, f.count+3,
				strings.Join(objects, ","))
			return
		}
		if flusher, ok := w.(http.Flusher); ok {
			flusher.Flush()
		}
		<-r.Context().Done()
	}))
	t.Cleanup(func() {
		f.server.CloseClientConnections()
		f.server.Close()
	})
	return f
}

func (f *fakeCluster) Reader(context.Context) (rest.Interface, error) {
	return rest.UnversionedRESTClientForConfigAndClient(&rest.Config{
		Host: f.server.URL, ContentConfig: rest.ContentConfig{NegotiatedSerializer: scheme.Codecs.WithoutConversion()},
	}, f.server.Client())
}

func (f *fakeCluster) Done() <-chan struct{} { return f.done }

func core(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: resource}
}

func runCache(t *testing.T, bytes int64) *Cache {
	t.Helper()
	c := New(bytes)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		checkReleased(t, c)
	})
	return c
}

// checkReleased waits until the cache has released all memory.
func checkReleased(t *testing.T, c *Cache) {
	t.Helper()
	// Another goroutine may still be releasing the memory of a resource.
	for begun := time.Now(); c.Bytes() != 0; time.Sleep(time.Millisecond) {
		if time.Since(begun) > firstListTimeout {
			t.Errorf("%d bytes are still counted", c.Bytes())
			return
		}
	}
}

// TestSecretsAreNotCached verifies that Secrets are not cached, even if the cluster allows the ServiceAccount of the
// cache to read Secrets.
func TestSecretsAreNotCached(t *testing.T) {
	c, f := runCache(t, 1<<20), newFakeCluster(t, 10)
	for _, version := range []string{"v1", "v2"} {
		r := core("secrets")
		r.Version = version
		if _, ok := c.Get(t.Context(), f, r, "Secret", "u"); ok || f.reads.Load() != 0 || c.Holds(f, r) ||
			c.Bytes() != 0 {
			t.Errorf("%s: %d reads, %d bytes", r, f.reads.Load(), c.Bytes())
		}
	}
	if v, ok := c.Get(t.Context(), f, core("configmaps"), "ConfigMap", "u"); !ok || v.Count != 2 {
		t.Errorf("%+v, %v", v, ok)
	}
}

// TestBound verifies that a kind that does not fit is not cached, that the least recently read kind is evicted for
// another one, and that a kind that was read within the last minute is not evicted.
func TestBound(t *testing.T) {
	const size, count = 1 << 20, 20 // of a kind
	c, f := runCache(t, 5*size/2), newFakeCluster(t, size/count)
	f.count = count
	get := func(resource string) bool {
		_, ok := c.Get(t.Context(), f, core(resource), "Kind", "u")
		return ok
	}
	if !get("a") || !get("b") {
		t.Fatal("two kinds do not fit")
	}
	if get("c") || c.Holds(f, core("c")) || !c.Holds(f, core("a")) || !c.Holds(f, core("b")) {
		t.Error("a kind in use gives way")
	}
	c.kinds[kindKey{f, core("a")}].used.Store(time.Now().Add(-2 * inUseTime).UnixNano())
	if !get("d") || c.Holds(f, core("a")) || !c.Holds(f, core("b")) {
		t.Error("the kind that was not read lately does not give way")
	}
	if used := c.Bytes(); used > 5*size/2 || used < 2*size {
		t.Errorf("%d bytes are counted", used)
	}
	before := f.reads.Load()
	if get("c") || f.reads.Load() != before {
		t.Error("what did not fit is tried again at once")
	}
	large := runCache(t, size/2)
	if _, ok := large.Get(t.Context(), f, core("a"), "Kind", "u"); ok {
		t.Errorf("a kind beyond the bound is kept, of %d bytes", large.Bytes())
	}
	checkReleased(t, large)
}

// TestGone verifies that the objects of a closed connection are dropped immediately, and that the objects of unused
// kinds are dropped after idleTimeout.
func TestGone(t *testing.T) {
	c, f := runCache(t, 1<<20), newFakeCluster(t, 10)
	for _, resource := range []string{"a", "b"} {
		if _, ok := c.Get(t.Context(), f, core(resource), "Kind", "u"); !ok {
			t.Fatal("it is not cached")
		}
	}
	c.kinds[kindKey{f, core("a")}].used.Store(time.Now().Add(-2 * idleTimeout).UnixNano())
	c.sweep(time.Now().Add(-idleTimeout))
	if c.Holds(f, core("a")) || !c.Holds(f, core("b")) {
		t.Error("the idle kind is kept, or the other one is not")
	}
	close(f.done)
	for begun := time.Now(); c.Holds(f, core("b")); time.Sleep(time.Millisecond) {
		if time.Since(begun) > firstListTimeout {
			t.Fatal("the objects of a connection that is gone are kept")
		}
	}
}

type absent struct{ *fakeCluster }

func (absent) Reader(context.Context) (rest.Interface, error) {
	return nil, fmt.Errorf("%w: no account", ErrNotCached)
}

// TestNoAccount verifies that no objects of a cluster are cached if the cache has no ServiceAccount on the cluster.
// Cache.Get then returns without waiting for a list.
func TestNoAccount(t *testing.T) {
	c, f := runCache(t, 1<<20), absent{newFakeCluster(t, 10)}
	begun := time.Now()
	for range 3 {
		if _, ok := c.Get(t.Context(), f, core("a"), "Kind", "u"); ok || time.Since(begun) > firstListTimeout/2 {
			t.Errorf("%v after %s", ok, time.Since(begun))
		}
	}
	// The goroutine of the Reflector stops the resource.
	for begun := time.Now(); c.Holds(f, core("a")); time.Sleep(time.Millisecond) {
		if time.Since(begun) > firstListTimeout {
			t.Fatal("the resource is still requested")
		}
	}
}

// TestWrites verifies that a read waits for earlier writes of its user, but not for writes of other users.
func TestWrites(t *testing.T) {
	c, f := runCache(t, 1<<20), newFakeCluster(t, 10)
	get := func(user string) bool {
		_, ok := c.Get(t.Context(), f, core("a"), "Kind", user)
		return ok
	}
	note := func(deleted bool, name, response string) {
		c.Wrote(f, "writer", Write{
			Resource: core(
				"a",
			).GroupResource(), Namespace: "n", Name: name, Deleted: deleted, Response: []byte(response),
		})
	}
	if !get("writer") {
		t.Fatal("it is not cached")
	}
	note(false, "o1", `{"metadata":{"resourceVersion":"5"}}`)
	if !get("writer") {
		t.Error("what is there is waited for")
	}
	for name, write := range map[string]func(){
		"a version":     func() { note(false, "o1", `{"metadata":{"resourceVersion":"6"}}`) },
		"a deletion":    func() { note(true, "o1", `{"kind":"Status","metadata":{}}`) },
		"without words": func() { note(false, "o1", `{}`) },
	} {
		write()
		if get("writer") {
			t.Errorf("%s is not waited for", name)
		}
		if !get("reader") {
			t.Errorf("%s is waited for by somebody else", name)
		}
		c.writes.Clear()
	}
	note(true, "none", `{}`)
	if !get("writer") {
		t.Error("the deletion of what is not there is waited for")
	}
}

// TestManyWrites verifies that the number of recorded writes is bounded, and that a user never reads an object after
// deleting it.
func TestManyWrites(t *testing.T) {
	c, f := runCache(t, 1<<20), newFakeCluster(t, 10)
	write := func(user, name string) {
		c.Wrote(f, user, Write{Resource: core("a").GroupResource(), Namespace: "n", Name: name, Deleted: true})
	}
	for n := range maxWrites + 10 {
		write(strconv.Itoa(n), "o1")
	}
	if n := c.writes.Len(); n != maxWrites {
		t.Errorf("%d writes are remembered", n)
	}
	for n := range maxDeletions + 1 {
		write("deleter", strconv.Itoa(n)) // deletions of objects that do not exist
	}
	if _, ok := c.Get(t.Context(), f, core("a"), "Kind", "reader"); !ok {
		t.Fatal("the kind is not cached")
	}
	begun := time.Now()
	if _, ok := c.Get(t.Context(), f, core("a"), "Kind", "deleter"); ok || time.Since(begun) >= writeTimeout {
		t.Errorf("a list without all deletions: %t after %s", ok, time.Since(begun))
	}
	c.Wrote(
		f,
		"deleter",
		Write{Resource: core("a").GroupResource(), Response: []byte(`{"metadata":{"resourceVersion":"5"}}`)},
	)
	if _, ok := c.Get(t.Context(), f, core("a"), "Kind", "deleter"); !ok {
		t.Error("a version that comes after them does not count")
	}
}

func TestManyKinds(t *testing.T) {
	c, f := New(1<<20), newFakeCluster(t, 10)
	for n := range maxKinds {
		c.kinds[kindKey{f, core(strconv.Itoa(n))}] = nil
	}
	if _, ok := c.Get(t.Context(), f, core("another"), "Kind", "u"); ok || len(c.kinds) != maxKinds ||
		f.reads.Load() != 0 {
		t.Errorf("%d kinds", len(c.kinds))
	}
}

// TestHalfEvents verifies that the cache counts the memory of an incomplete watch event until the watch ends.
func TestHalfEvents(t *testing.T) {
	const parts = 10
	begin := `{"type":"ADDED","object":{"metadata":{"name":"o","resourceVersion":"1"},"data":"`
	text := begin + strings.Repeat("x", parts*readBytes)
	for name, rest := range map[string]string{"no end": "", "an end": `"}}` + "\n"} {
		var held, most int64
		d := newDecoder(io.NopCloser(strings.NewReader(text+rest)), podKind)
		d.keep = func(o *Object) (*Object, error) { return o, nil }
		d.afterEvent, d.closed = func() {}, func(error) {}
		d.countMemory = func(bytes int64) error {
			held += bytes
			most = max(most, held)
			return nil
		}
		for {
			if _, _, err := d.Decode(); err != nil {
				break
			}
		}
		if held != 0 || most < parts*readBytes || most > 4*parts*readBytes {
			t.Errorf("%s: %d bytes are held after at most %d", name, held, most)
		}
		d = newDecoder(io.NopCloser(strings.NewReader(text+rest)), podKind)
		d.countMemory = func(int64) error { return errTooMuch }
		if _, _, err := d.next(); !errors.Is(err, errTooMuch) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEmptyKinds verifies that the cache counts watchBytes of memory for each kind, even if the kind has few objects.
func TestEmptyKinds(t *testing.T) {
	c, f := runCache(t, 2*watchBytes+watchBytes/2), newFakeCluster(t, 10)
	for i, want := range []bool{true, true, false} {
		if _, ok := c.Get(t.Context(), f, core(strconv.Itoa(i)), "Kind", "u"); ok != want {
			t.Errorf("kind %d is cached: %t", i, ok)
		}
	}
}

// TestDecoder verifies that incomplete, malformed and large events are rejected.
func TestDecoder(t *testing.T) {
	const bookmark = `{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"5"}}}`
	for text, want := range map[string]error{
		bookmark + "\n":                      nil,
		"\n \n" + bookmark + "\n":            nil,
		bookmark:                             io.EOF,
		bookmark + bookmark + "\n":           rawjson.ErrSyntax,
		`{"type":"ADDED","object":` + "\n":   rawjson.ErrSyntax,
		strings.Repeat(" ", maxEventBytes+1): errTooLarge,
	} {
		d := newDecoder(io.NopCloser(strings.NewReader(text)), podKind)
		if _, _, err := d.next(); !errors.Is(err, want) {
			t.Errorf("%.80q: %v, want %v", text, err, want)
		}
	}
}

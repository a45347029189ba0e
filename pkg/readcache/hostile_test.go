// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"weak"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubevision-io/kubevision/pkg/rawjson"
)

// TestManyLabels verifies that an object with more than maxLabels labels is rejected while it is being read.
func TestManyLabels(t *testing.T) {
	object := func(n int) []byte {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`"l%d":""`, i))
		}
		return []byte(`{"metadata":{"name":"a","labels":{` + strings.Join(all, ",") + `}}}`)
	}
	for n, want := range map[int]error{maxLabels: nil, maxLabels + 1: errManyLabels} {
		if _, err := parse(object(n), podKind); !errors.Is(err, want) {
			t.Errorf("%d labels: %v, want %v", n, err, want)
		}
	}
}

// TestRepeatedObjects verifies that the cache counts the memory of each list entry, even if a list repeats one object.
// Otherwise, a member cluster could exceed the memory limit with an endless list.
func TestRepeatedObjects(t *testing.T) {
	c, f := runCache(t, 1<<20), newFakeCluster(t, 10)
	v, ok := c.Get(t.Context(), f, core("a"), "Kind", "u")
	if !ok {
		t.Fatal("the kind is not cached")
	}
	k, object := c.kinds[kindKey{f, core("a")}], v.Groups[0][0].Objects[0]
	for range c.pool.limit / itemBytes {
		if _, err := k.source.keep(object, true); err != nil {
			return
		}
	}
	t.Errorf("%d bytes are counted", c.Bytes())
}

// TestRefusedErrors verifies that the function refused returns true for errors that mean that a kind cannot be cached.
// After a broken connection or a timeout, the function returns false, because the next list may succeed.
func TestRefusedErrors(t *testing.T) {
	for _, err := range []error{
		errNotUTF8, errManyLabels, errManyPages, errTooLarge, errNoMetadata, errLongVersion, errLargeFields,
		ErrNotCached,
	} {
		if !refused(fmt.Errorf("list pods: %w", err)) {
			t.Errorf("%v causes no pause", err)
		}
	}
	for _, err := range []error{io.EOF, io.ErrUnexpectedEOF, context.DeadlineExceeded} {
		if refused(err) {
			t.Errorf("%v causes a pause", err)
		}
	}
}

func TestManyPages(t *testing.T) {
	s := &source{pages: maxPages, noted: func(error) {}}
	if _, err := s.ListWithContext(t.Context(), metav1.ListOptions{Continue: "x"}); !errors.Is(err, errManyPages) {
		t.Errorf("one more page: %v", err)
	}
}

// TestLongSelectors verifies that the cache leaves selectors with many requirements to the API server.
func TestLongSelectors(t *testing.T) {
	for n, want := range map[int]bool{maxRequirements: true, maxRequirements + 1: false} {
		byFields := fields.ParseSelectorOrDie(strings.TrimSuffix(strings.Repeat("spec.nodeName!=a,", n), ","))
		if _, ok := FieldMatcher(core("pods"), true, byFields); ok != want {
			t.Errorf("%d requirements on fields: %t", n, ok)
		}
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf("!l%d", i))
		}
		byLabels, err := labels.Parse(strings.Join(all, ","))
		if err != nil || IsShort(byLabels) != want {
			t.Errorf("%d requirements on labels: %t, %v", n, !want, err)
		}
	}
	many, err := labels.Parse("a in (" + strings.Repeat("x,", 10) + labelValues(maxRequirements) + ")")
	if err != nil || IsShort(many) {
		t.Errorf("many values of one label are evaluated: %v", err)
	}
}

func labelValues(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("v%d", i))
	}
	return strings.Join(all, ",")
}

// TestLongNames verifies that an object is rejected if its name, namespace or version is longer than API servers allow.
func TestLongNames(t *testing.T) {
	for text, accepted := range map[string]bool{
		`{"metadata":{"name":"` + strings.Repeat("a", maxName) + `"}}`:                            true,
		`{"metadata":{"name":"` + strings.Repeat("a", maxName+1) + `"}}`:                          false,
		`{"metadata":{"name":"a","namespace":"` + strings.Repeat("a", maxName+1) + `"}}`:          false,
		`{"metadata":{"name":"a","resourceVersion":"` + strings.Repeat("1", maxVersion+1) + `"}}`: false,
	} {
		if _, err := parse([]byte(text), podKind); (err == nil) != accepted {
			t.Errorf("%.60s: %v", text, err)
		}
	}
}

// TestLargeItems verifies that a list with a large item or a large field is rejected. While an item or a field is being
// read, the cache must count the memory for the item or field.
func TestLargeItems(t *testing.T) {
	item := func(size int) string { return `{"metadata":{"name":"a"},"x":"` + strings.Repeat("x", size) + `"}` }
	const many = 2 * maxEventBytes / (1 << 20)
	for name, tc := range map[string]struct {
		text string
		want error
	}{
		"many items":      {`{"items":[` + strings.Repeat(item(1<<20)+",", many) + item(1) + `]}`, nil},
		"a large item":    {`{"items":[` + item(2*maxEventBytes) + `]}`, errTooLarge},
		"a large field":   {`{"x":"` + strings.Repeat("x", 2*maxEventBytes) + `"}`, errTooLarge},
		"a long continue": {`{"metadata":{"continue":"` + strings.Repeat("x", 2*maxEventBytes) + `"}}`, errTooLarge},
	} {
		var held, most int64
		s := &source{kind: podKind, noted: func(error) {}}
		s.keep = func(o *Object, _ bool) (*Object, error) { return o, nil }
		s.countMemory = func(bytes int64) error {
			held += bytes
			most = max(most, held)
			return nil
		}
		_, err := s.read(strings.NewReader(tc.text))
		if !errors.Is(err, tc.want) || held != 0 || most < itemCopies<<20 || most > itemCopies*maxEventBytes {
			t.Errorf("%s: %v, %d bytes are held after at most %d", name, err, held, most)
		}
	}
}

// TestLongVersions verifies that the cache keeps no long resource version or continue token of a cluster, whether it
// comes with a list, with a bookmark or with the response to a write.
func TestLongVersions(t *testing.T) {
	long := strings.Repeat("1", maxVersion+1)
	for text, want := range map[string]error{
		`{"resourceVersion":"` + long[1:] + `","selfLink":"` + long + `"}`:      nil,
		`{"resourceVersion":"` + long + `"}`:                                    errLongVersion,
		`{"continue":"` + strings.Repeat("c", maxContinue) + `"}`:               nil,
		`{"continue":"` + strings.Repeat("c", maxContinue+1) + `"}`:             errLongVersion,
		`{"resourceVersion":"` + long + `"},"metadata":{"resourceVersion":"1"}`: errLongVersion,
		`{"resourceVersion":"1"},"metadata":{"resourceVersion":"` + long + `"}`: errLongVersion,
		`{"resourceVersion":7}`: rawjson.ErrSyntax,
	} {
		s := &source{countMemory: func(int64) error { return nil }}
		page, err := s.read(strings.NewReader(`{"metadata":` + text + `,"items":[]}`))
		if err == nil {
			kept := metav1.ListMeta{ResourceVersion: page.ResourceVersion, Continue: page.Continue}
			if page.ListMeta != kept {
				t.Errorf("%.60s: %+v", text, page)
			}
		}
		if !errors.Is(err, want) {
			t.Errorf("%.60s: %v, %+v", text, err, page)
		}
	}
	for version, want := range map[string]error{long[1:]: nil, long: errLongVersion} {
		text := `{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"` + version + `"}}}` + "\n"
		if _, _, err := newDecoder(io.NopCloser(strings.NewReader(text)), podKind).next(); !errors.Is(err, want) {
			t.Errorf("a bookmark with a version of %d bytes: %v", len(version), err)
		}
	}
	c, key := New(1<<20), writeKey{nil, core("pods").GroupResource(), "u"}
	for _, w := range []Write{
		{Name: "a", Response: []byte(`{"metadata":{"resourceVersion":"` + long + `"}}`)},
		{Name: strings.Repeat("a", maxName+1), Deleted: true},
		{Name: "a", Namespace: strings.Repeat("a", maxName+1), Deleted: true},
	} {
		w.Resource = key.resource
		c.Wrote(nil, key.user, w)
		value, _ := c.writes.Get(key)
		if note, ok := value.(*written); !ok || note.lastVersion != "" || len(note.deleted) > 0 || !note.uncheckable {
			t.Errorf("after a write of %.20s: %+v", w.Name, value)
		}
		c.writes.Clear()
	}
}

// TestLongKinds verifies that a resource is not cached if a name in the discovery of the cluster is longer than API
// servers allow.
func TestLongKinds(t *testing.T) {
	long := strings.Repeat("a", maxName+1)
	c, f := runCache(t, 1<<20), newFakeCluster(t, 10)
	for _, r := range []struct {
		resource schema.GroupVersionResource
		kind     string
	}{
		{core("a"), long}, {core(long), "Kind"}, {schema.GroupVersionResource{Version: long, Resource: "a"}, "Kind"},
		{schema.GroupVersionResource{Group: long, Version: "v1", Resource: "a"}, "Kind"},
	} {
		if _, ok := c.Get(t.Context(), f, r.resource, r.kind, "u"); ok {
			t.Errorf("%.40s is cached", r.resource.String())
		}
		if _, _, ok := c.Subscribe(t.Context(), f, r.resource, r.kind, func(Changes) {}); ok {
			t.Errorf("there is a subscription to %.40s", r.resource.String())
		}
	}
	if n := f.reads.Load(); n > 0 || len(c.kinds) > 0 {
		t.Errorf("%d requests, %d kinds", n, len(c.kinds))
	}
}

// TestFailuresHoldNoText verifies that the cache does not keep the error of a failed list. The error may contain a long
// text from the cluster.
func TestFailuresHoldNoText(t *testing.T) {
	s := &source{noted: func(error) {}}
	err := apierrors.NewInternalError(errors.New(strings.Repeat("x", 100)))
	kept := weak.Make(err)
	s.lost(err)
	if !isCollected(kept) || !s.hasFailed() {
		t.Error("the error is still in memory")
	}
	runtime.KeepAlive(s)
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
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

// TestRepeatedObjects verifies that list entries of objects that are already cached are charged. A member may send one
// object in an endless list.
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

// TestRefusedErrors verifies that a kind is not listed again in a pause if it cannot be cached, and that other errors
// cause no pause.
func TestRefusedErrors(t *testing.T) {
	for _, err := range []error{errNotUTF8, errManyLabels, errManyPages, errTooLarge, errNoMetadata, ErrNotCached} {
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

// TestManyPages verifies that the number of pages of a list is bounded.
func TestManyPages(t *testing.T) {
	s := &source{pages: maxPages, noted: func() {}}
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

// labelValues returns n values of a label.
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

// TestLargeItems verifies that an item or a field of a list is bounded, and that its memory is charged while it is
// being read.
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
		s := &source{kind: podKind, noted: func() {}}
		s.keep = func(o *Object, _ bool) (*Object, error) { return o, nil }
		s.buffered = func(bytes int64) error {
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

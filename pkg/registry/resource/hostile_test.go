// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/labels"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/readcache"
)

// TestKeysOfLargeObjects verifies that the computation of a sort key allocates little memory. The object may contain
// very large arrays, which must not be decoded.
func TestKeysOfLargeObjects(t *testing.T) {
	const count = 1 << 20
	many := "[" + strings.Repeat("{},", count) + "{}]"
	pod := objects.Object{"status": json.RawMessage(`{"conditions":` + many + `}`), "spec": json.RawMessage(many)}
	for name, key := range map[string]func(){
		"restarts":  func() { restartsOf(pod) },
		"a list":    func() { _, _ = keyOf(pod["spec"]) },
		"an object": func() { _, _ = keyOf(pod["status"]) },
		"an index":  func() { valueAt(pod, []string{"spec", "-1"}) },
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		key()
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > count {
			t.Errorf("%s takes %d bytes", name, grown)
		}
	}
	if got := valueAt(objects.Object{"a": json.RawMessage(`[1,{"b":[2,3]}]`)}, []string{"a", "-1", "b", "1"}); string(
		got,
	) != "3" {
		t.Errorf("the value is %s", got)
	}
}

// TestListsOfTheCacheEnd verifies that a request that has ended stops iterating over the cache.
func TestListsOfTheCacheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	group := readcache.NewGroup(numbered(1))
	q := &cachedQuery{
		listOptions: &listOptions{}, labels: labels.Everything(),
		selected: func(*readcache.Object) bool { return true },
	}
	for name, list := range map[string]func() error{
		"page": func() error {
			return q.addListPage(ctx, readcache.Groups{{group}}, &cachedBody{}, &dashboardv1alpha1.Meta{})
		},
		"view": func() error {
			return q.addViewPage(ctx, readcache.Groups{{group}}, &cachedBody{}, &dashboardv1alpha1.Meta{})
		},
	} {
		if err := list(); err == nil {
			t.Errorf("%s goes on", name)
		}
	}
}

// TestCompressedCopies verifies that a response with more than maxCompressedBytes stays uncompressed. If the memory
// limit of the request is too low for the compression, a smaller response must also stay uncompressed.
func TestCompressedCopies(t *testing.T) {
	object := func(size int) []*readcache.Object {
		return []*readcache.Object{{JSON: []byte(strings.Repeat("1", size))}}
	}
	for name, tc := range map[string]struct {
		size    int
		account *budget.Account
		want    bool
	}{
		"small":     {maxCompressedBytes, nil, true},
		"large":     {maxCompressedBytes + 1, nil, false},
		"no memory": {maxCompressedBytes, budget.New(maxCompressedBytes/2).Account("reader", 0), false},
	} {
		b := &cachedBody{}
		b.addObjects(object(tc.size))
		if _, ok := b.data(tc.account).(envelope.Compressible); ok != tc.want {
			t.Errorf("%s: compressed %t", name, ok)
		}
		tc.account.Close()
	}
}

// TestManyGroups verifies that a list with too many groups of objects fails because of the memory limit. A group
// contains objects of one namespace, and a hostile cluster may have very many namespaces.
func TestManyGroups(t *testing.T) {
	const groups = 100_000
	all := readcache.Groups{slices.Repeat([]*readcache.Group{readcache.NewGroup(numbered(1))}, groups)}
	account := budget.New(groups*partBytes).Account("reader", 0)
	defer account.Close()
	for limit, want := range map[int]error{0: budget.ErrExceeded, 100: nil} {
		q := &cachedQuery{listOptions: &listOptions{}}
		q.listOptions.view.limit = limit
		ctx := budget.WithAccount(t.Context(), account)
		if err := q.addListPage(ctx, all, &cachedBody{}, &dashboardv1alpha1.Meta{}); !errors.Is(err, want) {
			t.Errorf("a page of %d: %v, want %v", limit, err, want)
		}
	}
}

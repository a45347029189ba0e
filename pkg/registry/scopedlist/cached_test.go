// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package scopedlist

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/readcache"
)

type ingress struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Paths []struct {
			A    string `json:"a"`
			B, C string
		} `json:"paths"`
	} `json:"spec"`
}

// TestCachedObjectsAreCharged verifies that the account is charged for the elements of an object of the cache before the
// object is decoded, and for the object that is kept afterwards.
func TestCachedObjectsAreCharged(t *testing.T) {
	const elements = 1 << 17
	large := `{"metadata":{"name":"a"},"spec":{"paths":[{}` + strings.Repeat(",{}", elements) + `]}}`
	small := `{"metadata":{"name":"b"},"spec":{"paths":[{"a":"x"}]}}`
	cached := func(texts ...string) *Cached {
		var all []*readcache.Object
		for _, text := range texts {
			all = append(all, &readcache.Object{JSON: []byte(text), Name: text[21:22]})
		}
		return &Cached{Groups: []*readcache.Group{readcache.NewGroup(all)}}
	}
	var before, after runtime.MemStats
	ctx := budget.WithAccount(t.Context(), budget.New(8<<20).Account("user", 0))
	runtime.ReadMemStats(&before)
	_, err := cachedItems[ingress](ctx, cached(large))
	runtime.ReadMemStats(&after)
	if !errors.Is(err, budget.ErrExceeded) || after.TotalAlloc-before.TotalAlloc > 2<<20 {
		t.Errorf("%d bytes were allocated: %v", after.TotalAlloc-before.TotalAlloc, err)
	}
	shared := budget.New(128 << 20)
	items, err := cachedItems[ingress](budget.WithAccount(t.Context(), shared.Account("user", 0)), cached(large, small))
	if err != nil || len(items) != 2 || items[1].Metadata.Name != "b" || items[1].Spec.Paths[0].A != "x" {
		t.Fatalf("%d objects: %v", len(items), err)
	}
	if kept := int64(48 * elements); shared.Used() < kept || shared.Used() > 3*kept {
		t.Errorf("%d bytes are charged for about %d", shared.Used(), kept)
	}
}

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

// TestElementsOfCachedObjects verifies that the account is charged for the elements of an object before it is decoded.
func TestElementsOfCachedObjects(t *testing.T) {
	const count = 1 << 20
	o := &readcache.Object{JSON: []byte(`{"rules":[` + strings.Repeat("{},", count) + `{}]}`)}
	c := &Cached{Groups: readcache.Groups{{readcache.NewGroup([]*readcache.Object{o})}}}
	account := budget.New(count).Account("reader", 0)
	defer account.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := cachedItems[struct {
		Rules []struct{ A, B, C string } `json:"rules"`
	}](budget.WithAccount(t.Context(), account), c, nil)
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, budget.ErrExceeded) || grown > count {
		t.Errorf("%d bytes, %v", grown, err)
	}
}

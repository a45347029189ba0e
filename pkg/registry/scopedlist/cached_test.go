// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package scopedlist

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/kubevision-io/kubevision/pkg/authorization/verdicts"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/readcache"
)

// TestElementsOfCachedObjects verifies that an object with too many list elements is rejected before it is decoded. The
// decoded elements would need more memory than the request may use.
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

type latestChangeRecorder struct {
	Verdicts

	latestChange time.Time
}

func (v *latestChangeRecorder) AllowedStale(
	_ context.Context, _ *clusters.Client, _ authorizationv1.ResourceAttributes, latestChange time.Time,
	_ verdicts.Roles,
) (bool, error) {
	v.latestChange = latestChange
	return true, nil
}

// TestReviewOfStaleObjects verifies the argument latestChange of AllowedStale for stale cached objects. It must be the
// time of their latest change. With an earlier time, AllowedStale could use the result of a review from before this
// change.
func TestReviewOfStaleObjects(t *testing.T) {
	recorded := &latestChangeRecorder{}
	newest := time.Now().Add(-time.Minute)
	view := readcache.View{Stale: true, AsOf: newest.Add(-time.Hour), LatestChange: newest}
	c := &Client{verdicts: recorded}
	if _, err := c.may(t.Context(), authorizationv1.ResourceAttributes{}, view); err != nil {
		t.Fatal(err)
	}
	if !recorded.latestChange.Equal(newest) {
		t.Errorf("the review got %s, want %s", recorded.latestChange, newest)
	}
}

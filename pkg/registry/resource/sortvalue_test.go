// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/readcache"
	"github.com/kubevision-io/kubevision/pkg/registry/podmetrics"
)

func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestElementsAreNotDecodedForAKey verifies that the computation of a sort key allocates little memory. Any field of
// the object may contain a very large array, which must not be decoded.
func TestElementsAreNotDecodedForAKey(t *testing.T) {
	const count, most = 1 << 17, 1 << 20 // a decoded element takes at least 24 bytes
	many := func(element string) string { return "[" + element + strings.Repeat(","+element, count) + "]" }
	for name, tc := range map[string]struct {
		kind         schema.GroupResource
		sortBy, text string
	}{
		"conditions": {corev1.Resource("pods"), "restarts", `{"status":{"conditions":` + many("{}") + `}}`},
		"statuses":   {corev1.Resource("pods"), "restarts", `{"status":{"containerStatuses":` + many("{}") + `}}`},
		"init containers": {corev1.Resource("pods"), "restarts",
			`{"spec":{"initContainers":` + many("{}") +
				`},"status":{"conditions":[{"type":"Initialized","status":"True"}]}}`},
		"containers": {corev1.Resource("pods"), "cpu", `{"spec":{"containers":` + many("{}") + `}}`},
		"usage":      {podmetrics.GroupResource("pods"), "memory", `{"containers":` + many("{}") + `}`},
		"series":     {eventsv1.Resource("events"), "lastSeen", `{"series":` + many("0") + `}`},
		"an array":   {corev1.Resource("pods"), "spec", `{"spec":` + many("0") + `}`},
		"an element": {corev1.Resource("pods"), "spec[-1].a", `{"spec":` + many("{}") + `}`},
		"members":    {corev1.Resource("pods"), "a.b", `{"a":{"c":{}` + strings.Repeat(`,"c":{}`, count) + `}}`},
	} {
		r := clusters.Resource{GroupVersionResource: tc.kind.WithVersion("v1")}
		o, err := readOrder(tc.sortBy, "")
		if err != nil {
			t.Fatal(err)
		}
		o.forResource(r)
		for source, from := range map[string]item{
			"live": objectOf(t, tc.text), "cached": &readcache.Object{JSON: []byte(tc.text)},
		} {
			if got := allocated(func() { _, _ = o.key(from, nil) }); got > most {
				t.Errorf("%s, %s: %d bytes were allocated", name, source, got)
			}
		}
	}
}

// TestALongTextIsCharged verifies that memory for a large value is reserved before the value is decoded.
func TestALongTextIsCharged(t *testing.T) {
	const size = 1 << 20
	from := &readcache.Object{JSON: []byte(`{"a":"` + strings.Repeat(`\n`, size/2) + `"}`)}
	o, err := readOrder("a", "")
	if err != nil {
		t.Fatal(err)
	}
	small := budget.New(size).Account("user", 0)
	if _, err := o.key(from, small); !errors.Is(err, budget.ErrExceeded) {
		t.Errorf("a text that the account does not allow: %v", err)
	}
	shared := budget.New(16 * size)
	key, err := o.key(from, shared.Account("user", 0))
	if err != nil || len(key.text) != size/2 || shared.Used() > size/8 {
		t.Errorf("a text of %d bytes: %d bytes are still charged, %v", len(key.text), shared.Used(), err)
	}
}

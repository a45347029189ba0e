// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package scopedlist

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/readcache"
)

// TestOmittedObjects verifies that a list omits an object that takes too much memory, and that a warning names the
// object. The test uses a list from the API server and a list from the read cache.
func TestOmittedObjects(t *testing.T) {
	type item struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
		Args []string `json:"args"`
	}
	small := `{"metadata":{"name":"small"}}`
	large := `{"metadata":{"namespace":"n","name":"large"},"args":[""` + strings.Repeat(`,""`, 400_000) + `]}`
	cached := &Cached{Groups: readcache.Groups{{readcache.NewGroup([]*readcache.Object{
		{Name: "small", JSON: []byte(small)}, {Namespace: "n", Name: "large", JSON: []byte(large)},
	})}}}
	cached.View.Snapshot = &readcache.Snapshot{}
	account := budget.New(8<<20).Account("reader", 0)
	defer account.Close()
	for name, result := range map[string]Result{
		"live":   {Bodies: [][]byte{[]byte(`{"items":[` + small + `,` + large + `]}`)}},
		"cached": {Cached: cached},
	} {
		result.Omitted = newOmissions("things")
		items, err := Items[item](budget.WithAccount(t.Context(), account), result)
		if err != nil || len(items) != 1 || items[0].Metadata.Name != "small" {
			t.Errorf("%s: %d are read: %v", name, len(items), err)
		}
		want := []string{"things: objects are omitted because they are too large: n/large"}
		if got := result.Meta().Warnings; !slices.Equal(got, want) {
			t.Errorf("%s: the warnings are %q", name, got)
		}
	}
}

// TestWarningsOfOmissionsAreShort verifies that a warning names some objects and counts the others.
func TestWarningsOfOmissionsAreShort(t *testing.T) {
	o := newOmissions("things")
	if got := o.warnings(); got != nil {
		t.Errorf("without an omission: %q", got)
	}
	long := strings.Repeat("n", 1<<20)
	for i := range 1_000 {
		o.Add(long, fmt.Sprintf("%d\xff%s", i, strings.Repeat("x", 1<<10)))
	}
	got := o.warnings()
	if len(got) != 1 || len(got[0]) > 2*(maxOmittedNames+1)*(maxNameBytes+2) ||
		!strings.Contains(got[0], " and 990 more") || strings.Contains(got[0], "\xff") {
		t.Errorf("the warnings are %.300q", got)
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package search

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestSplit verifies that split stops at the first name beyond the limit.
func TestSplit(t *testing.T) {
	if got, ok := split(" a,b,,a , c", 3); !ok || !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("got %v, %t", got, ok)
	}
	if got, ok := split("a,b,c", 2); ok || got != nil {
		t.Errorf("got %v, %t", got, ok)
	}
	var many strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&many, "%d,", i)
	}
	list, ok := many.String(), false
	if allocations := testing.AllocsPerRun(1, func() { _, ok = split(list, 100) }); ok || allocations > 20 {
		t.Errorf("a long list is read to its end: %.0f allocations", allocations)
	}
}

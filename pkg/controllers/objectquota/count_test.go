// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objectquota

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

func TestRefusals(t *testing.T) {
	limits := Limits{Users: 3, Clusters: 2, RoleBindings: 1, Bytes: 100}
	for name, tc := range map[string]struct {
		counts counts
		want   []string
	}{
		"nothing":           {counts{}, nil},
		"one less":          {counts{users: 2, clusters: 1, bytes: 99}, nil},
		"users":             {counts{users: 3}, []string{"kubevisionusers"}},
		"clusters, beyond":  {counts{clusters: 9}, []string{"kubevisionclusters"}},
		"bindings":          {counts{roleBindings: 1}, []string{"kubevisionrolebindings"}},
		"bytes, and others": {counts{users: 4, bytes: 100}, []string{"bytes", "kubevisionusers"}},
	} {
		refusals := tc.counts.refusals(limits)
		if diff := cmp.Diff(tc.want, slices.Sorted(maps.Keys(refusals))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for key, why := range refusals {
			if !strings.Contains(why, " --max-") {
				t.Errorf("the reason of %s does not name the flag: %s", key, why)
			}
		}
	}
}

// TestSizes verifies that an object is encoded only after a change, and forgotten after its deletion.
func TestSizes(t *testing.T) {
	u := &kubevisionv1alpha1.KubeVisionUser{}
	u.UID, u.ResourceVersion = "1", "1"
	first := sizes{}
	small, err := sizes{}.add(first, u)
	if err != nil || small == 0 {
		t.Fatalf("the size is %d (%v)", small, err)
	}
	u.Spec.DisplayName = "somebody"
	second := sizes{}
	if same, err := first.add(second, u); err != nil || same != small {
		t.Errorf("an object of the same version is encoded again: %d bytes (%v)", same, err)
	}
	gone, third := sizes{"gone": {bytes: 1}}, sizes{}
	if _, err := gone.add(third, u); err != nil || len(third) != 1 {
		t.Errorf("the sizes of %d objects are known, of which one is there (%v)", len(third), err)
	}
	u.ResourceVersion = "2"
	if large, err := second.add(sizes{}, u); err != nil || large <= small {
		t.Errorf("an object that has grown has %d bytes, and had %d (%v)", large, small, err)
	}
}

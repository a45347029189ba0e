// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objectquota

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// TestVerdicts verifies that:
//
//   - The method quotaParameter returns the current usage and the limits.
//   - The function verdicts reports a limit as reached if the usage equals or exceeds the limit.
//   - The result of verdicts changes if a limit changes.
//   - The result of verdicts does not change while the usage remains below the limit.
func TestVerdicts(t *testing.T) {
	limits := Limits{Users: 3, Clusters: 2, RoleBindings: 1, Bytes: 100}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, tc := range map[string]struct {
		counts counts
		want   []string
	}{
		"nothing":           {counts{}, nil},
		"one less":          {counts{users: 2, clusters: 1, bytes: 99}, nil},
		"users":             {counts{users: 3}, []string{"--max-users"}},
		"clusters, beyond":  {counts{clusters: 9}, []string{"--max-clusters"}},
		"bindings":          {counts{roleBindings: 1}, []string{"--max-role-bindings"}},
		"bytes, and others": {counts{users: 4, bytes: 100}, []string{"--max-users", "--max-object-bytes"}},
	} {
		p := tc.counts.quotaParameter(limits, at)
		var reached []string
		for _, v := range verdicts(p) {
			if v.reached {
				reached = append(reached, v.flag)
			}
		}
		if diff := cmp.Diff(tc.want, reached); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if p.Users.Used != int64(tc.counts.users) || p.Users.Limit != 3 || p.Bytes.Used != tc.counts.bytes ||
			p.Bytes.Limit != 100 || !p.CountTime.Time.Equal(at) {
			t.Errorf("%s: the parameter is %+v", name, p)
		}
	}
	few, more := counts{users: 1}, counts{users: 2, bytes: 9}
	first, second := verdicts(few.quotaParameter(limits, at)), verdicts(more.quotaParameter(limits, at))
	if !slices.Equal(first, second) {
		t.Error("a verdict changes with a number below the limit")
	}
	limits.Users++
	if before := verdicts(few.quotaParameter(limits, at)); slices.Contains(before, verdict{"--max-users", 3, false}) {
		t.Error("no verdict changes with the flag")
	}
}

// TestSizes verifies that the size of an object is computed again only after a change of the object. The size of a
// deleted object is dropped.
func TestSizes(t *testing.T) {
	u := &kubevisionv1alpha1.KubeVisionUser{}
	u.UID, u.ResourceVersion = "1", "1"
	first := sizes{}
	small, err := sizes{}.measure(u, first)
	if err != nil || small == 0 {
		t.Fatalf("the size is %d (%v)", small, err)
	}
	u.Spec.DisplayName = "somebody"
	second := sizes{}
	if same, err := first.measure(u, second); err != nil || same != small {
		t.Errorf("an object of the same version is encoded again: %d bytes (%v)", same, err)
	}
	gone, third := sizes{"gone": {bytes: 1}}, sizes{}
	if _, err := gone.measure(u, third); err != nil || len(third) != 1 {
		t.Errorf("the sizes of %d objects are known, of which one is there (%v)", len(third), err)
	}
	u.ResourceVersion = "2"
	if large, err := second.measure(u, sizes{}); err != nil || large <= small {
		t.Errorf("an object that has grown has %d bytes, and had %d (%v)", large, small, err)
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package impersonation

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
)

func longNames(count int) []entry {
	out := make([]entry, 0, count)
	for i := range count {
		name := fmt.Sprintf("%d-", i)
		out = append(out, newEntry(usersResource, name+strings.Repeat("x", 253-len(name))))
	}
	return out
}

func namesIn(shards []*shard) map[string]sets.Set[string] {
	out := map[string]sets.Set[string]{}
	for _, s := range shards {
		out[s.roleName()] = sets.New[string]()
		for _, e := range s.entries {
			out[s.roleName()].Insert(e.name)
		}
	}
	return out
}

// TestSplit verifies that each name is in one role, that the roles are far smaller than the limit of etcd, and that an
// additional name changes one role.
func TestSplit(t *testing.T) {
	if got := split(nil, ""); len(got) != 1 || got[0].roleName() != "kubevision-impersonator" ||
		len(got[0].rules()) > 0 {
		t.Errorf("nobody is impersonated by %+v", got)
	}
	const count = 20000
	before := split(longNames(count), "")
	all := sets.New[string]()
	for _, s := range before {
		bytes := 0
		for _, r := range s.clusterRole().Rules {
			for _, n := range r.ResourceNames {
				if all.Has(n) {
					t.Fatalf("%.20s is in two roles", n)
				}
				all.Insert(n)
				bytes += len(n)
			}
		}
		if bytes > 512<<10 {
			t.Errorf("role %s has names of %d bytes", s.roleName(), bytes)
		}
	}
	if all.Len() != count {
		t.Errorf("%d names are in the roles, want %d", all.Len(), count)
	}
	is := namesIn(split(append(longNames(count), newEntry(usersResource, "one-more")), ""))
	changed := 0
	for name, in := range namesIn(before) {
		if !in.Equal(is[name]) {
			changed++
		}
	}
	if changed > 1 {
		t.Errorf("one name more changes %d of %d roles", changed, len(before))
	}
}

// TestSplitEqualHashPrefixes verifies that no role exceeds the size limit if the hashes of all names begin with the
// same bits. The hash of a name determines the role that contains the name.
func TestSplitEqualHashPrefixes(t *testing.T) {
	var chosen []entry
	for _, e := range longNames(20000) {
		if e.hash>>(hashBits-4) == 0 {
			chosen = append(chosen, e)
		}
	}
	for len(chosen) < 5000 {
		e := newEntry(groupsResource, fmt.Sprintf("g%d-%s", len(chosen), strings.Repeat("y", 200)))
		e.hash &= 1<<(hashBits-4) - 1
		chosen = append(chosen, e)
	}
	for _, s := range split(chosen, "") {
		if len(s.entries)*261 > 2*shardBytes {
			t.Errorf("role %s has %d names", s.roleName(), len(s.entries))
		}
	}
}

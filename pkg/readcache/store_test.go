// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func testObject(namespace, name string, version int) *Object {
	text := fmt.Sprintf(`{"metadata":{"namespace":%q,"name":%q,"resourceVersion":"%d"}}`, namespace, name, version)
	o, err := parse([]byte(text), podKind)
	if err != nil {
		panic(err)
	}
	return o
}

// TestStore verifies that a store has the same objects as a map after random changes.
func TestStore(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	p := &pool{limit: 1 << 40}
	s := &store{account: &account{pool: p}}
	want := map[string]*Object{}
	if err := s.Replace([]any{testObject("b", "x", 1), testObject("a", "y", 1), testObject("a-b", "z", 1)},
		"1"); err != nil {
		t.Fatal(err)
	}
	for o := range All(s.snapshot().Groups) {
		want[o.Namespace+"/"+o.Name] = o
	}
	for i := range 5000 {
		o := testObject([]string{"a", "a-b", "a.c", "ab", "b"}[random.IntN(5)], strconv.Itoa(random.IntN(300)), i)
		key := o.Namespace + "/" + o.Name
		var err error
		if random.IntN(3) == 0 {
			err = s.Delete(o)
			delete(want, key)
		} else {
			err = s.Update(o)
			want[key] = o
		}
		if err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			for _, g := range s.snapshot().Groups {
				g.Compressed()
			}
		}
		if i%500 == 499 {
			checkStore(t, s, want)
		}
	}
	s.account.close()
	if used := p.used.Load(); used != 0 {
		t.Errorf("%d bytes are counted of a store that was closed", used)
	}
}

func checkStore(t *testing.T, s *store, want map[string]*Object) {
	t.Helper()
	snapshot := s.snapshot()
	var keys, sorted []string
	var bytes int64
	for _, g := range snapshot.Groups {
		if len(g.Objects) == 0 || len(g.Objects) >= 2*groupSize {
			t.Errorf("a group has %d objects", len(g.Objects))
		}
		size := int64(-1)
		for _, o := range g.Objects {
			size += int64(len(o.JSON)) + 1
			bytes += o.memory()
			if o.Namespace != g.Namespace() {
				t.Errorf("an object of %s is in a group of %s", o.Namespace, g.Namespace())
			}
			key := o.Namespace + "/" + o.Name
			keys = append(keys, key)
			if want[key] != o || snapshot.Get(o.Namespace, o.Name) != o {
				t.Errorf("%s is another object", key)
			}
		}
		if size != g.Size {
			t.Errorf("a group has %d bytes instead of %d", size, g.Size)
		}
		if g.compressed != nil {
			bytes += int64(len(g.compressed.Deflated))
		}
	}
	for key := range want {
		sorted = append(sorted, key)
	}
	slices.Sort(sorted) // as etcd
	if !slices.Equal(keys, sorted) || snapshot.Count != len(want) {
		t.Errorf("%d objects (%d) instead of %d, or in another order", len(keys), snapshot.Count, len(want))
	}
	if s.account.kept != bytes || s.account.pool.used.Load() != bytes {
		t.Errorf(
			"%d bytes are counted, and %d of all, instead of %d",
			s.account.kept,
			s.account.pool.used.Load(),
			bytes,
		)
	}
	for _, namespace := range []string{"", "a", "a-b", "a.c", "ab", "b", "c"} {
		count := 0
		for _, g := range snapshot.In(namespace) {
			count += len(g.Objects)
		}
		expected := 0
		for key := range want {
			if strings.HasPrefix(key, namespace+"/") {
				expected++
			}
		}
		if count != expected {
			t.Errorf("namespace %s has %d objects instead of %d", namespace, count, expected)
		}
	}
}

// TestReaches verifies that versions are compared as numbers, and that others have no order.
func TestReaches(t *testing.T) {
	for _, tc := range []struct {
		has, wanted string
		want        bool
	}{{"10", "9", true}, {"9", "10", false}, {"9", "9", true}, {"", "1", false}, {"a", "a", false}, {"1", "", false}} {
		if got := (&Snapshot{ResourceVersion: tc.has}).reaches(tc.wanted); got != tc.want {
			t.Errorf("%q reaches %q: %v", tc.has, tc.wanted, got)
		}
	}
}

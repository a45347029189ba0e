// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"fmt"
	"math/rand/v2"
	"runtime"
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

// TestStore verifies that a store contains the same objects as a map after the same random changes.
func TestStore(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the sequence is the same in each run
	p := &pool{limit: 1 << 40}
	s := &store{account: &account{pool: p}}
	want := map[string]*Object{}
	if err := s.Replace([]any{testObject("b", "x", 1), testObject("a", "y", 1), testObject("a-b", "z", 1)},
		"1"); err != nil {
		t.Fatal(err)
	}
	for o := range s.snapshot().Groups.Objects() {
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
			for g := range s.snapshot().Groups.All() {
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
	for g := range snapshot.Groups.All() {
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
	slices.Sort(sorted) // the order of keys in etcd
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
		for g := range snapshot.In(namespace).All() {
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

// TestReaches verifies that numeric resource versions are compared as numbers. Other resource versions must have no
// order.
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

func spreadStore(tb testing.TB, namespaces int) *store {
	tb.Helper()
	s := &store{account: &account{pool: &pool{limit: 1 << 40}}}
	list := make([]any, 0, namespaces)
	for i := range namespaces {
		list = append(list, testObject(fmt.Sprintf("n%07d", i), "o", 1))
	}
	if err := s.Replace(list, "1"); err != nil {
		tb.Fatal(err)
	}
	return s
}

// TestEventOfManyNamespaces verifies that one watch event allocates little memory, even if the cached objects are in
// many namespaces. A member cluster may send an endless sequence of events.
func TestEventOfManyNamespaces(t *testing.T) {
	const namespaces, events, most = 100_000, 200, 32 << 10
	s := spreadStore(t, namespaces)
	changes := make([]*Object, 0, events)
	for i := range events {
		changes = append(changes, testObject(fmt.Sprintf("n%07d", i*namespaces/events), "o", i+2))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i, o := range changes {
		change := s.Update
		if i%3 == 0 {
			change = s.Delete
		}
		if err := change(o); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / events; each > most {
		t.Errorf("an event takes %d bytes, want at most %d", each, most)
	}
}

// TestChunks verifies that the objects of a store remain sorted and complete while chunks are split and merged. A chunk
// is a slice of groups, which are blocks of consecutive objects.
func TestChunks(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // the sequence is the same in each run
	const namespaces = 4 * chunkSize
	s := spreadStore(t, 0)
	want := map[string]*Object{}
	for _, deletions := range []int{0, 2, 1, 9, 0} { // tenths of changes that are deletions
		for range 2 * namespaces {
			o := testObject(fmt.Sprintf("n%d", random.IntN(namespaces)), strconv.Itoa(random.IntN(2)), 1)
			key, change := o.Namespace+"/"+o.Name, s.Update
			if random.IntN(10) < deletions {
				change = s.Delete
				delete(want, key)
			} else {
				want[key] = o
			}
			if err := change(o); err != nil {
				t.Fatal(err)
			}
		}
		checkStore(t, s, want)
		groups := s.snapshot().Groups
		for _, chunk := range groups {
			if len(chunk) == 0 || len(chunk) >= 2*chunkSize {
				t.Errorf("a chunk has %d groups", len(chunk))
			}
		}
		if most := 2 + 4*groups.Len()/chunkSize; len(groups) > most {
			t.Errorf("%d groups are in %d chunks", groups.Len(), len(groups))
		}
	}
}

// TestAscendingNames verifies that objects with ascending names do not each get a separate group. A group is a block of
// cached objects that are compressed together.
func TestAscendingNames(t *testing.T) {
	const objects = 1000
	s := spreadStore(t, 0)
	for i := range objects {
		if err := s.Update(testObject("n", fmt.Sprintf("o%05d", i), i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.snapshot().Groups.Len(); n > objects/groupSize+1 {
		t.Errorf("%d objects are in %d groups", objects, n)
	}
}

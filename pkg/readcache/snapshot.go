// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"io"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/kubevision-io/kubevision/pkg/gzipmember"
)

// groupSize is the target number of objects in a Group. A Group with twice as many objects is split.
const groupSize = 64

// Group contains consecutive objects of a list that are in the same namespace. Their JSON is compressed together. The
// objects of a Group never change: the store replaces the Group instead.
type Group struct {
	// Objects contains at least one object.
	Objects []*Object
	// Size is the length of the JSON of all objects, including the commas between them, in bytes.
	Size int64
	// Serial identifies a Group of a store. It is unique in the process and, very probably, among all processes. It is
	// 0 for a Group that NewGroup returns, because this Group is not part of a store.
	Serial uint64

	account *account

	mu         sync.Mutex
	compressed *gzipmember.Segment
	summary    *Summary
	dropped    bool
}

// NewGroup returns a Group that is not part of a store. For example, the Group contains the objects that a selector has
// matched. The objects must be in the same namespace, and must be sorted by name.
func NewGroup(objects []*Object) *Group {
	g := newGroup(objects, nil)
	g.Serial = 0
	return g
}

func newGroup(objects []*Object, a *account) *Group {
	g := &Group{Objects: objects, Serial: epoch + serials.Add(1), account: a}
	for _, o := range objects {
		g.Size += int64(len(o.JSON)) + 1
	}
	g.Size--
	return g
}

//nolint:gochecknoglobals // entity tags compare the groups of different stores
var (
	// serials counts the Groups that this process has created.
	serials atomic.Uint64
	// epoch is a random number that is added to each Group.Serial, so that two processes use different serial numbers.
	epoch = rand.Uint64() //nolint:gosec // it tells processes apart and is no secret
)

// Compressed returns the compressed JSON of the objects. Only the first call compresses the JSON.
func (g *Group) Compressed() gzipmember.Segment {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.compressed != nil {
		return *g.compressed
	}
	s := Compress(g.Objects)
	g.compressed = &s
	g.count(int64(len(s.Deflated)))
	return s
}

// drop subtracts the memory of the compressed JSON and of the Summary from the account, and returns the number of
// subtracted bytes. It is called when the Group is removed from the store. The memory of the objects remains counted,
// because another Group may contain the same objects.
func (g *Group) drop() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	bytes := g.summary.memory()
	if g.compressed != nil {
		bytes += int64(len(g.compressed.Deflated))
	}
	g.count(-bytes)
	g.dropped = true
	return bytes
}

// Compress joins the JSON of the objects with commas, and returns the compressed result.
func Compress(objects []*Object) gzipmember.Segment {
	return gzipmember.Deflate(func(w io.Writer) { _ = WriteObjects(w, objects) }) // writing to memory cannot fail
}

// WriteObjects writes the JSON of the objects, with commas between them. It returns the first error of w.
func WriteObjects(w io.Writer, objects []*Object) error {
	for i, o := range objects {
		if i > 0 {
			if _, err := w.Write([]byte{','}); err != nil {
				return err //nolint:wrapcheck // it is passed on
			}
		}
		if _, err := w.Write(o.JSON); err != nil {
			return err //nolint:wrapcheck // it is passed on
		}
	}
	return nil
}

// Snapshot is the list of the objects of one resource of one cluster at one resource version. It is immutable.
type Snapshot struct {
	// ResourceVersion is the resource version of the list. No object in the list is newer.
	ResourceVersion string
	Groups          Groups
	// Count is the number of objects.
	Count int

	replacedBytesAtCreation int64
}

// compareNamespaces compares namespaces in the order in which API servers list objects. API servers sort objects by the
// key namespace/name. For example, "a-b" comes before "a", because the key "a-b/x" comes before the key "a/x".
func compareNamespaces(a, b string) int {
	n := min(len(a), len(b))
	if c := strings.Compare(a[:n], b[:n]); c != 0 || len(a) == len(b) {
		return c
	}
	if len(a) < len(b) {
		return strings.Compare("/", b[n:n+1])
	}
	return strings.Compare(a[n:n+1], "/")
}

// compareKeys compares the namespaces and names of two objects, a and b, in the order in which API servers list them.
func compareKeys(aNamespace, aName, bNamespace, bName string) int {
	if c := compareNamespaces(aNamespace, bNamespace); c != 0 {
		return c
	}
	return strings.Compare(aName, bName)
}

func (g *Group) last() *Object { return g.Objects[len(g.Objects)-1] }

// Namespace returns the namespace of the objects.
func (g *Group) Namespace() string { return g.Objects[0].Namespace }

// In returns the part of the list with the objects of a namespace.
func (s *Snapshot) In(namespace string) Groups { return s.Groups.in(namespace) }

// Get returns an object, or nil if the list does not contain it.
func (s *Snapshot) Get(namespace, name string) *Object {
	g := s.Groups.at(s.Groups.seek(namespace, name))
	if g == nil || g.Namespace() != namespace {
		return nil
	}
	if i, ok := g.find(name); ok {
		return g.Objects[i]
	}
	return nil
}

func (g *Group) find(name string) (int, bool) {
	return slices.BinarySearchFunc(
		g.Objects,
		name,
		func(o *Object, name string) int { return strings.Compare(o.Name, name) },
	)
}

// ObjectsAfter returns the objects that API servers list after the key namespace/name. The Group need not contain an
// object with this key.
func (g *Group) ObjectsAfter(namespace, name string) []*Object {
	i := sort.Search(len(g.Objects), func(i int) bool {
		return compareKeys(g.Objects[i].Namespace, g.Objects[i].Name, namespace, name) > 0
	})
	return g.Objects[i:]
}

func (s *Snapshot) drop(successor *Snapshot) int64 {
	var replacedBytes int64
	for g := range s.Groups.All() {
		replacedBytes += g.drop() // also subtracts the compressed JSON and the Summary from the account
		for _, o := range g.Objects {
			if successor.Get(o.Namespace, o.Name) != o {
				replacedBytes += o.memory()
			}
		}
	}
	return replacedBytes
}

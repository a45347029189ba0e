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

// groupSize is the target number of objects that are compressed together. A group of twice this number is split.
const groupSize = 64

// Group contains consecutive objects of one namespace. It is immutable: a change creates another group.
type Group struct {
	// Objects contains at least one object.
	Objects []*Object
	// Size is the length of the JSON of the objects, separated by commas.
	Size int64
	// Serial is unique among the groups of the process. It is 0 for a group that a reader has created.
	Serial uint64

	account *account

	mu         sync.Mutex
	compressed *gzipmember.Segment
	summary    *Summary
	dropped    bool
}

// NewGroup returns a group of selected objects of one namespace. The objects must be in order.
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

// Serials start at random values, so that serials of different processes differ.
//
//nolint:gochecknoglobals // entity tags compare the groups of different stores
var (
	serials atomic.Uint64
	epoch   = rand.Uint64() //nolint:gosec // it tells processes apart and is no secret
)

// Compressed returns the compressed JSON of the group. It compresses the group at the first call.
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

// drop releases the memory of the group without its objects, and returns its size. It is called when the group is
// removed from the store.
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

// Compress compresses the JSON of objects, separated by commas.
func Compress(objects []*Object) gzipmember.Segment {
	return gzipmember.Deflate(func(w io.Writer) { _ = WriteObjects(w, objects) }) // writing to memory cannot fail
}

// WriteObjects writes the JSON of objects, separated by commas.
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

// Snapshot is the content of a store at one time. It is immutable.
type Snapshot struct {
	// ResourceVersion is the resource version of the list. No object of the snapshot is newer.
	ResourceVersion string
	Groups          Groups
	// Count is the number of objects.
	Count int

	// replaced is the total memory of the objects that were replaced before the snapshot.
	replaced int64
}

// compareNamespaces orders namespaces as API servers list them: as if each ended in a slash.
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

// compareKeys orders objects as API servers list them.
func compareKeys(aNamespace, aName, bNamespace, bName string) int {
	if c := compareNamespaces(aNamespace, bNamespace); c != 0 {
		return c
	}
	return strings.Compare(aName, bName)
}

func (g *Group) last() *Object { return g.Objects[len(g.Objects)-1] }

// Namespace returns the namespace of the objects.
func (g *Group) Namespace() string { return g.Objects[0].Namespace }

// In returns the groups of a namespace.
func (s *Snapshot) In(namespace string) Groups { return s.Groups.in(namespace) }

// Get returns an object, or nil.
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

// Behind returns the objects of the group after a key.
func (g *Group) Behind(namespace, name string) []*Object {
	i := sort.Search(len(g.Objects), func(i int) bool {
		return compareKeys(g.Objects[i].Namespace, g.Objects[i].Name, namespace, name) > 0
	})
	return g.Objects[i:]
}

// drop drops all groups, and returns their memory and the memory of the objects that are not in the next snapshot.
func (s *Snapshot) drop(next *Snapshot) int64 {
	var bytes int64
	for g := range s.Groups.All() {
		bytes += g.drop()
		for _, o := range g.Objects {
			if next.Get(o.Namespace, o.Name) != o {
				bytes += o.memory()
			}
		}
	}
	return bytes
}

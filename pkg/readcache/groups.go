// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"iter"
	"slices"
	"sort"
)

const (
	// chunkSize is the target length of a chunk, which is an inner slice of the type Groups ([][]*Group). A chunk of
	// twice this length is split.
	chunkSize = 512
	// smallChunk is the minimum length of a chunk, which is an inner slice of the type Groups ([][]*Group). A shorter
	// chunk is merged with an adjacent chunk if the merged chunk is not longer than chunkSize.
	smallChunk = chunkSize / 4
)

// Groups is a list of objects, sorted by the key namespace/name as in API servers. A Group contains consecutive objects
// of one namespace. An inner slice of Groups is called a chunk, and contains at least one Group.
//
// Groups is immutable. A changed copy shares the unchanged chunks with the original, so that a change of a large list
// copies little memory.
type Groups [][]*Group

// newGroups divides the groups into chunks, which are the inner slices of Groups.
func newGroups(groups []*Group) Groups {
	out := make(Groups, 0, (len(groups)+chunkSize-1)/chunkSize)
	for chunk := range slices.Chunk(groups, chunkSize) {
		// Each chunk has its own array, so that the garbage collector can free it when the chunk is replaced.
		out = append(out, slices.Clone(chunk))
	}
	return out
}

// All returns an iterator over the groups in order.
func (g Groups) All() iter.Seq[*Group] {
	return func(yield func(*Group) bool) {
		for _, chunk := range g {
			for _, one := range chunk {
				if !yield(one) {
					return
				}
			}
		}
	}
}

// Objects returns an iterator over the objects of all groups in order.
func (g Groups) Objects() iter.Seq[*Object] {
	return func(yield func(*Object) bool) {
		for one := range g.All() {
			for _, o := range one.Objects {
				if !yield(o) {
					return
				}
			}
		}
	}
}

// Len returns the number of groups.
func (g Groups) Len() int {
	n := 0
	for _, chunk := range g {
		n += len(chunk)
	}
	return n
}

// position identifies a group by the index of its chunk and the index in the chunk.
type position struct{ chunk, index int }

// at returns the group at p, or nil if there is no group at p.
func (g Groups) at(p position) *Group {
	if p.chunk >= len(g) || p.index >= len(g[p.chunk]) {
		return nil
	}
	return g[p.chunk][p.index]
}

// seek returns the position of the first group whose last object is namespace/name or sorts after namespace/name. If
// there is no such group, seek returns the position after the last group.
func (g Groups) seek(namespace, name string) position {
	reaches := func(one *Group) bool {
		last := one.last()
		return compareKeys(last.Namespace, last.Name, namespace, name) >= 0
	}
	chunk := sort.Search(len(g), func(i int) bool { return reaches(g[i][len(g[i])-1]) })
	if chunk == len(g) {
		chunk = max(chunk-1, 0)
	}
	if chunk == len(g) {
		return position{}
	}
	index := sort.Search(len(g[chunk]), func(i int) bool { return reaches(g[chunk][i]) })
	return position{chunk, index}
}

// place returns the position p of the group for the object namespace/name. If found is false, the caller must insert a
// new group for the object at p.
func (g Groups) place(namespace, name string) (p position, found bool) {
	p = g.seek(namespace, name)
	if one := g.at(p); one != nil && one.Namespace() == namespace {
		return p, true
	}
	before := position{p.chunk, p.index - 1} // The object may follow the last object of its namespace.
	if before.index < 0 && p.chunk > 0 {
		before = position{p.chunk - 1, len(g[p.chunk-1]) - 1}
	}
	if before.index >= 0 && g.at(before).Namespace() == namespace {
		return before, true
	}
	return p, false
}

// in returns the groups of a namespace.
func (g Groups) in(namespace string) Groups {
	var out Groups
	p := g.seek(namespace, "")
	for begin := p.index; p.chunk < len(g); p.chunk, begin = p.chunk+1, 0 {
		chunk, end := g[p.chunk], begin
		for end < len(chunk) && chunk[end].Namespace() == namespace {
			end++
		}
		if end > begin {
			out = append(out, chunk[begin:end:end])
		}
		if end < len(chunk) {
			break
		}
	}
	return out
}

// replace returns a copy of g with the given groups instead of the n groups from position p on. The n groups must be in
// one chunk.
func (g Groups) replace(p position, n int, groups []*Group) Groups {
	begin, end := p.chunk, min(p.chunk+1, len(g))
	var chunk []*Group
	if begin < end {
		chunk = g[begin]
	}
	chunk = slices.Concat(chunk[:p.index], groups, chunk[p.index+n:])
	switch { // merge a small chunk with an adjacent one
	case len(chunk) >= smallChunk:
	case end < len(g) && len(chunk)+len(g[end]) <= chunkSize:
		chunk, end = slices.Concat(chunk, g[end]), end+1
	case begin > 0 && len(chunk)+len(g[begin-1]) <= chunkSize:
		chunk, begin = slices.Concat(g[begin-1], chunk), begin-1
	}
	var chunks Groups
	switch half := len(chunk) / 2; { //nolint:mnd // two halves
	case len(chunk) == 0:
	case len(chunk) < 2*chunkSize:
		chunks = Groups{chunk}
	default: // split a large chunk
		chunks = Groups{slices.Clone(chunk[:half]), slices.Clone(chunk[half:])}
	}
	return slices.Concat(g[:begin], chunks, g[end:])
}

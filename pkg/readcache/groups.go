// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"iter"
	"slices"
	"sort"
)

const (
	// chunkSize is the target number of groups in a chunk. A chunk of twice this number is split.
	chunkSize = 512
	// smallChunk is the number of groups below which a chunk is merged with its neighbour.
	smallChunk = chunkSize / 4
)

// Groups contains groups in the order of lists of API servers: by namespace and name, joined with a slash. It is
// divided into non-empty chunks, so that a change copies only one chunk and the list of chunks. It must not be
// modified.
type Groups [][]*Group

// newGroups returns groups in chunks with separate memory, so that a replaced chunk can be garbage collected.
func newGroups(groups []*Group) Groups {
	out := make(Groups, 0, (len(groups)+chunkSize-1)/chunkSize)
	for chunk := range slices.Chunk(groups, chunkSize) {
		out = append(out, slices.Clone(chunk))
	}
	return out
}

// All iterates over the groups in order.
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

// Objects iterates over the objects of the groups in order.
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

// position is the position of a group: the index of its chunk, and its index in the chunk.
type position struct{ chunk, index int }

// at returns the group at a position, or nil after the last one.
func (g Groups) at(p position) *Group {
	if p.chunk >= len(g) || p.index >= len(g[p.chunk]) {
		return nil
	}
	return g[p.chunk][p.index]
}

// seek returns the position of the first group that may contain a key or a later key. If there is none, it returns the
// end of the last chunk.
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

// place returns the position of the group for an object, or the position at which such a group must be inserted.
func (g Groups) place(namespace, name string) (p position, found bool) {
	p = g.seek(namespace, name)
	if one := g.at(p); one != nil && one.Namespace() == namespace {
		return p, true
	}
	before := position{p.chunk, p.index - 1} // The object may follow the last one of its namespace.
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

// replaced returns the groups with n groups at a position replaced by others.
func (g Groups) replaced(p position, n int, with []*Group) Groups {
	begin, end := p.chunk, min(p.chunk+1, len(g))
	var chunk []*Group
	if begin < end {
		chunk = g[begin]
	}
	chunk = slices.Concat(chunk[:p.index], with, chunk[p.index+n:])
	switch {
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
	default:
		chunks = Groups{slices.Clone(chunk[:half]), slices.Clone(chunk[half:])}
	}
	return slices.Concat(g[:begin], chunks, g[end:])
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"io"
	"iter"
	"slices"

	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/gzipmember"
	"github.com/kubevision-io/kubevision/pkg/readcache"
)

const (
	// compressedTogether is how many objects are compressed together that are no whole group of the cache.
	compressedTogether = 64
	// maxCompressed is how many such objects of an answer are compressed: it takes 20 us each.
	maxCompressed = 1000
)

// cachedBody is an array of objects of the cache. It refers to their bytes.
type cachedBody struct {
	parts []part
	// loose is the number of objects that are not in whole groups.
	loose int
}

// data returns the body for an answer: one that may be compressed, unless that takes too long.
func (b *cachedBody) data() envelope.Body {
	if b.loose > maxCompressed {
		return struct{ envelope.Body }{b}
	}
	return b
}

// part are some objects that follow each other in the array.
type part struct {
	objects []*readcache.Object
	// group is set if they are a whole group of the cache.
	group *readcache.Group
	// compressed is made once of objects that are none.
	compressed *gzipmember.Segment
}

var _ envelope.Compressible = &cachedBody{}

// add adds objects of a group, of which there is at least one.
func (b *cachedBody) add(g *readcache.Group, objects []*readcache.Object) {
	if len(objects) == len(g.Objects) {
		b.parts = append(b.parts, part{objects: objects, group: g})
		return
	}
	b.loose += len(objects)
	b.parts = append(b.parts, part{objects: objects})
}

// addObjects adds objects in any order.
func (b *cachedBody) addObjects(objects []*readcache.Object) {
	b.loose += len(objects)
	for chunk := range slices.Chunk(objects, compressedTogether) {
		b.parts = append(b.parts, part{objects: chunk})
	}
}

func (p *part) size() int64 {
	if p.group != nil {
		return p.group.Size
	}
	size := int64(len(p.objects)) - 1
	for _, o := range p.objects {
		size += int64(len(o.JSON))
	}
	return size
}

// Size implements envelope.Body.
func (b *cachedBody) Size() int64 {
	size := int64(len("[]")) + max(int64(len(b.parts))-1, 0)
	for i := range b.parts {
		size += b.parts[i].size()
	}
	return size
}

// WriteTo implements envelope.Body.
func (b *cachedBody) WriteTo(w io.Writer) (int64, error) {
	counted := &countingWriter{next: w}
	separator := []byte{'['}
	for i := range b.parts {
		if _, err := counted.Write(separator); err != nil {
			return counted.written, err
		}
		if err := readcache.WriteObjects(counted, b.parts[i].objects); err != nil {
			return counted.written, err
		}
		separator = []byte{','}
	}
	_, err := counted.Write(b.end())
	return counted.written, err
}

func (b *cachedBody) end() []byte {
	if len(b.parts) == 0 {
		return []byte("[]")
	}
	return []byte{']'}
}

// Segments implements envelope.Compressible.
func (b *cachedBody) Segments() iter.Seq[gzipmember.Segment] {
	comma := gzipmember.Store([]byte{','})
	return func(yield func(gzipmember.Segment) bool) {
		separator := gzipmember.Store([]byte{'['})
		for i := range b.parts {
			if !yield(separator) || !yield(b.parts[i].segment()) {
				return
			}
			separator = comma
		}
		yield(gzipmember.Store(b.end()))
	}
}

func (p *part) segment() gzipmember.Segment {
	if p.compressed != nil {
		return *p.compressed
	}
	if p.group != nil {
		return p.group.Compressed()
	}
	s := readcache.Compress(p.objects)
	p.compressed = &s
	return s
}

type countingWriter struct {
	next    io.Writer
	written int64
}

// Write writes to the next writer.
func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.next.Write(p)
	c.written += int64(n)
	return n, err //nolint:wrapcheck // it is passed on
}

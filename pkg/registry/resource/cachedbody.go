// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"sync"

	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/gzipmember"
	"github.com/kubevision-io/kubevision/pkg/readcache"
)

const (
	// compressedTogether is the number of objects that are compressed together if they are not a complete group of the
	// cache.
	compressedTogether = 64
	// maxCompressed bounds the objects that are compressed for one response. The compression takes 20 us per object.
	// maxCompressedBytes bounds their bytes.
	maxCompressed      = 1000
	maxCompressedBytes = 4 << 20
)

// cachedBody is an array of objects of the cache. It refers to their bytes until it is dropped.
type cachedBody struct {
	// loose is the number of objects that are not in complete groups. looseBytes is the length of their JSON.
	loose      int
	looseBytes int64

	mu      sync.Mutex
	parts   []part
	dropped bool
}

// drop releases the objects. A response in progress is aborted.
func (b *cachedBody) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.parts, b.dropped = nil, true
}

// part returns a part, or false if there are no more parts.
func (b *cachedBody) part(i int) (part, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dropped {
		panic(http.ErrAbortHandler) // so that the client detects an incomplete response
	}
	if i >= len(b.parts) {
		return part{}, false
	}
	return b.parts[i], true
}

// object returns an object of a part, or false if the part has no more objects.
func (b *cachedBody) object(i, j int) (*readcache.Object, bool) {
	p, ok := b.part(i)
	if !ok || j >= len(p.objects) {
		return nil, false
	}
	return p.objects[j], true
}

// data returns the body for a response. The body is compressible, unless compression takes too much time or memory. The
// compressed copies of objects that are not in complete groups are charged to the account.
func (b *cachedBody) data(account *budget.Account) envelope.Body {
	if b.loose > maxCompressed || b.looseBytes > maxCompressedBytes || account.Take(b.looseBytes) != nil {
		return struct{ envelope.Body }{b}
	}
	return b
}

// part contains consecutive objects of the array.
type part struct {
	objects []*readcache.Object
	// group is set if the objects are a complete group of the cache.
	group *readcache.Group
	// compressed is the compressed form of objects that are not a complete group. It is created once.
	compressed *gzipmember.Segment
}

var _ envelope.Compressible = &cachedBody{}

// partBytes is the memory of a part.
const partBytes = 40

// reserve charges the parts of a number of groups to the account. A page has at most limit objects, unless limit is 0.
// A kind may have as many groups as namespaces.
func (b *cachedBody) reserve(groups, limit int, account *budget.Account) error {
	if limit > 0 {
		groups = min(groups, limit)
	}
	if err := account.Take(int64(groups) * partBytes); err != nil {
		return fmt.Errorf("listing objects of the read cache: %w", err)
	}
	b.parts = make([]part, 0, groups)
	return nil
}

// add adds at least one object of a group.
func (b *cachedBody) add(g *readcache.Group, objects []*readcache.Object) {
	if len(objects) == len(g.Objects) {
		b.parts = append(b.parts, part{objects: objects, group: g})
		return
	}
	b.addLoose(objects)
}

// addObjects adds objects in any order.
func (b *cachedBody) addObjects(objects []*readcache.Object) {
	for chunk := range slices.Chunk(objects, compressedTogether) {
		b.addLoose(chunk)
	}
}

// addLoose adds objects that are not a complete group.
func (b *cachedBody) addLoose(objects []*readcache.Object) {
	p := part{objects: objects}
	b.parts = append(b.parts, p)
	b.loose, b.looseBytes = b.loose+len(objects), b.looseBytes+p.size()
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
	b.mu.Lock()
	defer b.mu.Unlock()
	size := int64(len("[]")) + max(int64(len(b.parts))-1, 0)
	for i := range b.parts {
		size += b.parts[i].size()
	}
	return size
}

// WriteTo implements envelope.Body. It refers to one object at a time, so that no more are held after drop.
func (b *cachedBody) WriteTo(w io.Writer) (int64, error) {
	counted := &countingWriter{next: w}
	separator, comma := []byte{'['}, []byte{','}
	for i := 0; ; i++ {
		if _, ok := b.part(i); !ok {
			break
		}
		for j := 0; ; j++ {
			o, ok := b.object(i, j)
			if !ok {
				break
			}
			if _, err := counted.Write(separator); err != nil {
				return counted.written, err
			}
			if _, err := counted.Write(o.JSON); err != nil {
				return counted.written, err
			}
			separator = comma
		}
	}
	_, err := counted.Write(end(separator))
	return counted.written, err
}

// end returns the end of an array after its last separator.
func end(separator []byte) []byte {
	if separator[0] == '[' {
		return []byte("[]")
	}
	return []byte{']'}
}

// Segments implements envelope.Compressible. It refers to one segment at a time.
func (b *cachedBody) Segments() iter.Seq[gzipmember.Segment] {
	comma := gzipmember.Store([]byte{','})
	return func(yield func(gzipmember.Segment) bool) {
		begin, separator := []byte{'['}, gzipmember.Store([]byte{'['})
		for i := 0; ; i++ {
			segment, ok := b.segment(i)
			if !ok {
				break
			}
			if !yield(separator) || !yield(segment) {
				return
			}
			begin, separator = []byte{','}, comma
		}
		yield(gzipmember.Store(end(begin)))
	}
}

// segment returns a compressed part, or false if there are no more parts.
func (b *cachedBody) segment(i int) (gzipmember.Segment, bool) {
	p, ok := b.part(i)
	switch {
	case !ok:
		return gzipmember.Segment{}, false
	case p.compressed != nil:
		return *p.compressed, true
	case p.group != nil:
		return p.group.Compressed(), true
	}
	s := readcache.Compress(p.objects)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.dropped {
		b.parts[i].compressed = &s
	}
	return s, true
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

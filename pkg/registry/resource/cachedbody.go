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
	// objectsPerPart is the maximum number of objects in a part that addObjects adds to a cachedBody. The objects of a
	// part are compressed together.
	objectsPerPart = 64
	// maxCompressed bounds the number of objects that are compressed for one response. The compression of an object
	// takes 20 us.
	maxCompressed = 1000
	// maxCompressedBytes bounds the JSON that is compressed for one response. It is the size before the compression, in
	// bytes.
	maxCompressedBytes = 4 << 20
)

// cachedBody is a JSON array of objects of the read cache. It references the cached objects until drop is called.
type cachedBody struct {
	// uncompressedObjects is the number of objects in this cachedBody that the read cache does not compress.
	uncompressedObjects int
	uncompressedBytes   int64

	mu      sync.Mutex
	parts   []part
	dropped bool
}

// drop releases the objects. If a response with the objects is being written, its connection is aborted.
func (b *cachedBody) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.parts, b.dropped = nil, true
}

// part returns b.parts[i]. It returns false if there is no such part. If drop has released the objects, part panics
// with http.ErrAbortHandler.
func (b *cachedBody) part(i int) (part, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dropped {
		panic(http.ErrAbortHandler) // abort the response, so that the client detects that it is incomplete
	}
	if i >= len(b.parts) {
		return part{}, false
	}
	return b.parts[i], true
}

// object returns b.parts[i].objects[j]. It returns false if there is no such part or object.
func (b *cachedBody) object(i, j int) (*readcache.Object, bool) {
	p, ok := b.part(i)
	if !ok || j >= len(p.objects) {
		return nil, false
	}
	return p.objects[j], true
}

// data returns b as the body of a response. If the compression takes little time and memory, the body is an
// envelope.Compressible.
func (b *cachedBody) data(account *budget.Account) envelope.Body {
	if b.uncompressedObjects > maxCompressed || b.uncompressedBytes > maxCompressedBytes ||
		account.Take(b.uncompressedBytes) != nil {
		return struct{ envelope.Body }{b}
	}
	return b
}

// part is a section of the JSON array of a cachedBody. The objects of a part are compressed together.
type part struct {
	objects []*readcache.Object
	// group is the group of the read cache that contains exactly the objects of this part, or nil if there is no such
	// group. The group keeps the compressed objects for other responses.
	group      *readcache.Group
	compressed *gzipmember.Segment
}

var _ envelope.Compressible = &cachedBody{}

// partBytes is the number of bytes of memory for an element of cachedBody.parts.
const partBytes = 40

func (b *cachedBody) reserve(maxParts, maxObjects int, account *budget.Account) error {
	if maxObjects > 0 { // each part contains at least one object
		maxParts = min(maxParts, maxObjects)
	}
	if err := account.Take(int64(maxParts) * partBytes); err != nil {
		return fmt.Errorf("listing objects of the read cache: %w", err)
	}
	b.parts = make([]part, 0, maxParts)
	return nil
}

// add appends the given objects to b. All of them belong to g, a group of objects in the read cache. g may contain
// further objects.
func (b *cachedBody) add(g *readcache.Group, objects []*readcache.Object) {
	if len(objects) == len(g.Objects) {
		b.parts = append(b.parts, part{objects: objects, group: g})
		return
	}
	b.addUncompressed(objects) // the read cache compresses only whole groups
}

func (b *cachedBody) addObjects(objects []*readcache.Object) {
	for chunk := range slices.Chunk(objects, objectsPerPart) {
		b.addUncompressed(chunk)
	}
}

func (b *cachedBody) addUncompressed(objects []*readcache.Object) {
	p := part{objects: objects}
	b.parts = append(b.parts, p)
	b.uncompressedObjects += len(objects)
	b.uncompressedBytes += p.size()
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

// WriteTo implements envelope.Body.
func (b *cachedBody) WriteTo(w io.Writer) (int64, error) {
	// During a slow write, b.drop may remove the objects from b to free their memory. Therefore, this method references
	// only the object that it is writing.
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
	_, err := counted.Write(arrayEnd(separator))
	return counted.written, err
}

func arrayEnd(separator []byte) []byte {
	if separator[0] == '[' { // the array has no elements, and its opening bracket was not written
		return []byte("[]")
	}
	return []byte{']'}
}

// Segments implements envelope.Compressible. It returns an iterator over the compressed parts of the JSON array.
func (b *cachedBody) Segments() iter.Seq[gzipmember.Segment] {
	comma := gzipmember.Store([]byte{','})
	return func(yield func(gzipmember.Segment) bool) {
		// During the iteration, b.drop may remove the objects from b to free their memory. Therefore, the iterator
		// references only the objects of the current part.
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
		yield(gzipmember.Store(arrayEnd(begin)))
	}
}

// segment returns b.parts[i] in compressed form. It returns false if there is no such part.
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

// Write implements io.Writer.
func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.next.Write(p)
	c.written += int64(n)
	return n, err //nolint:wrapcheck // it is passed on
}

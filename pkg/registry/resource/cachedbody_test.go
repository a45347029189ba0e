// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/gzipmember"
	"github.com/kubevision-io/kubevision/pkg/readcache"
)

func numbered(n int) []*readcache.Object {
	out := make([]*readcache.Object, n)
	for i := range out {
		out[i] = &readcache.Object{JSON: fmt.Appendf(nil, "%d", i)}
	}
	return out
}

// TestUncompressedObjects verifies the compression of a response with objects that the read cache has not compressed.
// The response must contain the same JSON as without compression. A response with more than maxCompressed objects must
// stay uncompressed.
func TestUncompressedObjects(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 65, maxCompressed, maxCompressed + 1} {
		b := &cachedBody{}
		b.addObjects(numbered(n))
		var plain bytes.Buffer
		if written, err := b.WriteTo(&plain); err != nil || written != b.Size() || written != int64(plain.Len()) {
			t.Errorf("%d of %d bytes: %v", written, b.Size(), err)
		}
		body, ok := b.data(nil).(envelope.Compressible)
		if ok != (n <= maxCompressed) {
			t.Errorf("%d objects: compressed %v", n, ok)
		}
		if !ok {
			continue
		}
		var compressed bytes.Buffer
		if _, err := (gzipmember.Member{Segments: body.Segments()}).WriteTo(&compressed); err != nil {
			t.Fatal(err)
		}
		r, err := gzip.NewReader(&compressed)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain.Bytes()) {
			t.Errorf("%d objects: %.60s instead of %.60s, %v", n, got, plain.Bytes(), err)
		}
	}
}

// TestDroppedBodies verifies that cachedBody.drop aborts a response that is being written. After drop, the cachedBody
// references no objects, so that the garbage collector can free their memory.
func TestDroppedBodies(t *testing.T) {
	for name, write := range map[string]func(*cachedBody, func()) error{
		"plain": func(b *cachedBody, drop func()) error {
			_, err := b.WriteTo(writer(func([]byte) { drop() }))
			return err
		},
		"compressed": func(b *cachedBody, drop func()) error {
			_, err := gzipmember.Member{Segments: b.Segments()}.WriteTo(writer(func([]byte) { drop() }))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := &cachedBody{}
			b.addObjects(numbered(3 * objectsPerPart))
			writes := 0
			defer func() {
				if got := recover(); got != http.ErrAbortHandler { //nolint:errorlint // as in net/http
					t.Errorf("the response ends with %v", got)
				}
				if b.parts != nil {
					t.Error("the objects are held")
				}
			}()
			err := write(b, func() {
				writes++
				if writes == 5 {
					b.drop()
				}
			})
			t.Errorf("the response is complete: %v", err)
		})
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

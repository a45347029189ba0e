// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package gzipmember

import (
	"bytes"
	"compress/gzip"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"testing"
)

func deflated(tb testing.TB, text []byte) Segment {
	tb.Helper()
	return Deflate(func(w io.Writer) {
		if _, err := w.Write(text); err != nil {
			tb.Error(err)
		}
	})
}

func check(tb testing.TB, want []byte, segments ...Segment) {
	tb.Helper()
	m := Member{Segments: slices.Values(segments)}
	var b bytes.Buffer
	if n, err := m.WriteTo(&b); err != nil || n != m.Size() || n != int64(b.Len()) {
		tb.Fatalf("%d of %d bytes, in the buffer %d: %v", n, m.Size(), b.Len(), err)
	}
	r, err := gzip.NewReader(&b)
	if err != nil {
		tb.Fatal(err)
	}
	got, err := io.ReadAll(r) // ReadAll verifies the checksum and the size.
	if err != nil || !bytes.Equal(got, want) {
		tb.Errorf("got %d bytes for %d: %v", len(got), len(want), err)
	}
}

// TestMember verifies that gzip can read a Member with compressed, uncompressed and empty Segments.
func TestMember(t *testing.T) {
	large := []byte(strings.Repeat("a text that repeats. ", 10_000))
	check(t, nil)
	check(t, []byte(""), deflated(t, nil), Store(nil))
	check(
		t,
		[]byte("[1,2]"),
		Store([]byte("[")),
		deflated(t, []byte("1")),
		Store([]byte(",")),
		deflated(t, []byte("2")),
		Store([]byte("]")),
	)
	check(t, slices.Concat(large, large, large), Store(large), deflated(t, large), Store(large))
	same := deflated(t, large)
	check(t, slices.Concat(large, large), same, same)
}

// FuzzMember verifies that the checksum of joined segments equals the checksum of the whole text, and that the member
// can be read.
func FuzzMember(f *testing.F) {
	f.Add([]byte("a"), []byte(""), []byte("bc"))
	f.Add(make([]byte, 100), []byte{0xff}, bytes.Repeat([]byte("ab"), 70_000))
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		all := slices.Concat(a, b, c)
		check(t, all, deflated(t, a), Store(b), deflated(t, c))
		if got := multiply(crcFactorOf(int64(len(b)+len(c))),
			crc32.ChecksumIEEE(a)) ^ crc32.ChecksumIEEE(slices.Concat(b, c)); got != crc32.ChecksumIEEE(
			all,
		) {
			t.Errorf("the checksum is %x instead of %x", got, crc32.ChecksumIEEE(all))
		}
	})
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gzipmember joins separately compressed texts into one gzip file, without compressing them again. The file has
// a single member (RFC 1952), as if all texts had been compressed together.
package gzipmember

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"io"
	"iter"
	"slices"
	"sync"
)

// Segment is a compressed text: a sequence of deflate blocks that ends at a byte boundary. Segments can be
// concatenated, because no block refers to another Segment, and no block is marked as the last one.
type Segment struct {
	// Deflated contains the deflate blocks.
	Deflated []byte

	// size is the length of the uncompressed text in bytes.
	size int64
	// crc is the CRC-32 of the uncompressed text.
	crc uint32
	// crcFactor multiplies the CRC-32 of the preceding Segments when this Segment is appended.
	crcFactor uint32
}

// Deflate compresses the bytes that the given function writes.
func Deflate(text func(io.Writer)) Segment {
	var out bytes.Buffer
	w, _ := writers.Get().(*flate.Writer)
	defer writers.Put(w)
	w.Reset(&out)
	counted := &counter{next: w}
	text(counted)
	_ = w.Flush() // Flush ends with an empty stored block at a byte boundary.
	return Segment{
		Deflated:  bytes.Clone(out.Bytes()),
		size:      counted.size,
		crc:       counted.crc,
		crcFactor: crcFactorOf(counted.size),
	}
}

var writers = sync.Pool{New: func() any { //nolint:gochecknoglobals // a compressor takes more than a megabyte
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // the level is valid
	return w
}}

// counter is a writer that computes the length and the CRC-32 of the written text.
type counter struct {
	next io.Writer
	size int64
	crc  uint32
}

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	c.size += int64(len(p))
	c.crc = crc32.Update(c.crc, crc32.IEEETable, p)
	return c.next.Write(p) //nolint:wrapcheck // it is passed on
}

// maxStored is the maximum length of a stored block, in bytes.
const maxStored = 1<<16 - 1

// Store returns a Segment that contains the text without compression. It is intended for short texts.
func Store(text []byte) Segment {
	size := int64(len(text))
	s := Segment{size: size, crc: crc32.ChecksumIEEE(text), crcFactor: crcFactorOf(size)}
	for block := range slices.Chunk(text, maxStored) {
		n := uint16(len(block)) //nolint:gosec // at most maxStored
		s.Deflated = append(s.Deflated, 0)
		s.Deflated = binary.LittleEndian.AppendUint16(s.Deflated, n)
		s.Deflated = binary.LittleEndian.AppendUint16(s.Deflated, ^n)
		s.Deflated = append(s.Deflated, block...)
	}
	return s
}

// header returns the header of a gzip member.
func header() []byte { return []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255} }

// last returns an empty deflate block that is marked as the last one.
func last() []byte { return []byte{3, 0} }

// trailerBytes is the number of bytes at the end of a gzip member: 4 bytes for the CRC-32, and 4 bytes for the size.
const trailerBytes = 8

// Member is the content of a gzip file: the concatenation of Segments.
type Member struct {
	Segments iter.Seq[Segment]
}

// Size returns the number of bytes that WriteTo writes.
func (m Member) Size() int64 {
	size := int64(len(header()) + len(last()) + trailerBytes)
	for s := range m.Segments {
		size += int64(len(s.Deflated))
	}
	return size
}

// WriteTo implements io.WriterTo. It writes the gzip file.
func (m Member) WriteTo(w io.Writer) (int64, error) {
	var written, size int64
	var crc uint32
	write := func(p []byte) error {
		n, err := w.Write(p)
		written += int64(n)
		return err //nolint:wrapcheck // it is passed on
	}
	if err := write(header()); err != nil {
		return written, err
	}
	for s := range m.Segments {
		crc = multiply(s.crcFactor, crc) ^ s.crc
		size += s.size
		if err := write(s.Deflated); err != nil {
			return written, err
		}
	}
	end := binary.LittleEndian.AppendUint32(last(), crc)
	return written, write(binary.LittleEndian.AppendUint32(end, uint32(size))) //nolint:gosec // RFC 1952: modulo 2^32
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package pacing

import (
	"bufio"
	"compress/gzip"
	"io"
)

// AcceptEncoding is a value for the request header Accept-Encoding. With this header, the HTTP transport does not
// decompress the response. Therefore, the caller must read the response through a Body.
const AcceptEncoding = "gzip"

const (
	// networkBytes is the size of the buffer for compressed data, in bytes.
	networkBytes = 4 << 10
	// gzipMagic are the first bytes of compressed data. JSON cannot begin with them.
	gzipMagic = "\x1f\x8b"
)

// Body reads a response of a cluster, and decompresses the response if necessary. It limits the processor time of the
// goroutine that calls Read. The wait for data from the network does not count as processor time.
type Body struct {
	turn *Turn
	raw  io.ReadCloser
	// text reads the decompressed response. It is nil until the first call of Read.
	text io.Reader
}

// Body returns a reader that decompresses a response of the cluster. The caller must call Turn.Leave after it has
// processed all data.
func (t *Turn) Body(raw io.ReadCloser) *Body { return &Body{turn: t, raw: raw} }

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	if err := b.turn.yield(); err != nil {
		return 0, err
	}
	if b.text == nil {
		if err := b.open(); err != nil {
			return 0, err
		}
	}
	return b.text.Read(p) //nolint:wrapcheck // io.EOF must not be wrapped
}

// open waits for the first data, and detects whether it is compressed.
func (b *Body) open() error {
	in := bufio.NewReaderSize(rawReader{b}, networkBytes)
	if head, _ := in.Peek(len(gzipMagic)); string(head) != gzipMagic { // Read returns the error
		b.text = in
		return nil
	}
	// A hostile cluster may send data that takes long to decompress, although the result is empty. Therefore,
	// decompression counts as processor time.
	packed, err := gzip.NewReader(in)
	if err != nil {
		return err //nolint:wrapcheck // as Read
	}
	b.text = packed
	return nil
}

// Close closes the response. It may be called during a call of Read.
func (b *Body) Close() error { return b.raw.Close() } //nolint:wrapcheck // as it is

type rawReader struct{ *Body }

// Read implements io.Reader. It does not count the wait for data as processor time.
func (r rawReader) Read(p []byte) (int, error) {
	r.turn.Leave()
	count, err := r.raw.Read(p)
	if entered := r.turn.Enter(); entered != nil && err == nil {
		return 0, entered
	}
	return count, err //nolint:wrapcheck // io.EOF must not be wrapped
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package pacing

import (
	"bufio"
	"compress/gzip"
	"io"
)

// AcceptEncoding is the value of the header Accept-Encoding of a request whose response is read from a Body. With this
// header, the transport does not decompress the response. The Body decompresses it, and counts the decompression as
// processor time of the cluster, because a cluster may send data that takes long to decompress although the result is
// empty.
const AcceptEncoding = "gzip"

const (
	// networkBytes is the size of the buffer for compressed data, in bytes.
	networkBytes = 4 << 10
	// gzipMagic are the first bytes of compressed data. JSON cannot begin with them.
	gzipMagic = "\x1f\x8b"
)

// Body is the text of a response. It decompresses the response if necessary. The Turn limits the processor time of the
// goroutine that reads the Body. The wait for data from the network does not count.
type Body struct {
	turn *Turn
	raw  io.ReadCloser
	// text reads the decompressed response. It is nil until the first call of Read.
	text io.Reader
}

// Body returns the text of a response of the cluster. The caller must call Leave when it has processed the last data.
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
	in := bufio.NewReaderSize(network{b}, networkBytes)
	if head, _ := in.Peek(len(gzipMagic)); string(head) != gzipMagic { // Read returns the error
		b.text = in
		return nil
	}
	packed, err := gzip.NewReader(in)
	if err != nil {
		return err //nolint:wrapcheck // as Read
	}
	b.text = packed
	return nil
}

// Close closes the response. It may be called during a call of Read.
func (b *Body) Close() error { return b.raw.Close() } //nolint:wrapcheck // as it is

// network reads the bytes of the response from the network. These bytes may be compressed.
type network struct{ *Body }

// Read implements io.Reader. It does not count the wait for data as processor time.
func (n network) Read(p []byte) (int, error) {
	n.turn.Leave()
	count, err := n.raw.Read(p)
	if entered := n.turn.Enter(); entered != nil && err == nil {
		return 0, entered
	}
	return count, err //nolint:wrapcheck // io.EOF must not be wrapped
}

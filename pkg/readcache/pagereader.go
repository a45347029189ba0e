// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import "io"

// itemCopies is the number of copies of an item while it is read: in the buffer of the decoder, its text, and the
// object.
const itemCopies = 3

// pageReader bounds the size of each item and each other field of a page of a list, and charges the memory of the item
// or field that is being read.
type pageReader struct {
	body     io.Reader
	buffered func(bytes int64) error

	// read is the number of bytes since the beginning of the item. counted is the memory that was charged for it.
	read, counted int64
}

// begin starts the next item or field.
func (r *pageReader) begin() { r.read = 0 }

// Read implements io.Reader.
func (r *pageReader) Read(p []byte) (int, error) {
	if r.read >= maxEventBytes {
		return 0, errTooLarge
	}
	n, err := r.body.Read(p[:min(int64(len(p)), maxEventBytes-r.read)])
	r.read += int64(n)
	if more := itemCopies*r.read - r.counted; more > 0 {
		r.counted += more
		if err := r.buffered(more); err != nil {
			return 0, err
		}
	}
	return n, err //nolint:wrapcheck // io.EOF must not be wrapped
}

// close releases the memory of the decoder, which is reused for all items of a page.
func (r *pageReader) close() { _ = r.buffered(-r.counted) } // releasing memory cannot fail

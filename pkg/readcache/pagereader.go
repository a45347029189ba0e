// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import "io"

// itemCopies is the maximum number of copies of an item during decoding: in the buffer of the decoder, as raw JSON, and
// in the object.
const itemCopies = 3

// pageReader reads a page of a list. It bounds the size of each item and of each top-level field by maxEventBytes. It
// also counts the memory for decoding.
type pageReader struct {
	body io.Reader
	// buffered is called when the memory for decoding changes. bytes is the difference, and is negative if the memory
	// shrinks. An error means that the memory is not available.
	buffered func(bytes int64) error

	// read is the number of bytes that were read since the start of the current item or top-level field.
	read int64
	// counted is the sum of the values that were passed to buffered so far, in bytes. This is the memory for decoding
	// the page.
	counted int64
}

// begin starts the next item or top-level field.
func (r *pageReader) begin() { r.read = 0 }

// Read implements io.Reader. It returns errTooLarge if the current item or top-level field is larger than
// maxEventBytes. It also returns an error if the memory for decoding is not available.
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

// close subtracts the memory for decoding the page from the counted memory of the cache. It must be called after the
// page was decoded.
func (r *pageReader) close() { _ = r.buffered(-r.counted) } // releasing memory cannot fail

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import "io"

// itemCopies is the maximum number of copies of an item during decoding: in the buffer of the decoder, as raw JSON, and
// in the object.
const itemCopies = 3

// pageReader reads a page of a list. It bounds the size of each item and of each top-level field by maxEventBytes. It
// calls buffered() when the memory for decoding changes.
type pageReader struct {
	body     io.Reader
	buffered func(bytes int64) error

	// read is the number of bytes of the current item or field that were read so far. counted is the memory, in bytes,
	// that was reported by calls of buffered().
	read, counted int64
}

// begin starts the next item or top-level field.
func (r *pageReader) begin() { r.read = 0 }

// Read implements io.Reader. It returns errTooLarge if the current item or field is larger than maxEventBytes. If
// buffered() returns an error, Read returns this error.
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

// close reports that the memory for reading was released.
func (r *pageReader) close() { _ = r.buffered(-r.counted) } // releasing memory cannot fail

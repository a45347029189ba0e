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
	// countMemory adds a number of bytes, which may be negative, to the memory of the resource. It returns an error if
	// the memory is not available.
	countMemory func(bytes int64) error

	// read is the number of bytes that were read since the start of the current item or top-level field.
	read         int64
	countedBytes int64
}

// resetLimit allows maxEventBytes further bytes. It is called before each item and each top-level field of the page.
func (r *pageReader) resetLimit() { r.read = 0 }

// Read implements io.Reader. It returns errTooLarge if the current item or top-level field is larger than
// maxEventBytes. It also returns an error if the memory for decoding is not available.
func (r *pageReader) Read(p []byte) (int, error) {
	if r.read >= maxEventBytes {
		return 0, errTooLarge
	}
	n, err := r.body.Read(p[:min(int64(len(p)), maxEventBytes-r.read)])
	r.read += int64(n)
	if more := itemCopies*r.read - r.countedBytes; more > 0 {
		r.countedBytes += more
		if err := r.countMemory(more); err != nil {
			return 0, err
		}
	}
	return n, err //nolint:wrapcheck // io.EOF must not be wrapped
}

// close reduces the counted memory of the resource by the bytes that Read has added for the page. It must be called
// after the page was decoded.
func (r *pageReader) close() { _ = r.countMemory(-r.countedBytes) } // releasing memory cannot fail

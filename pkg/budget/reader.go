// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import "io"

// Quarters is the memory that one byte of input takes, in quarters of a byte. For example, 5 means 1.25 bytes.
type Quarters int64

// Buffered is the cost of reading into a buffer. The capacity of the buffer grows by a quarter at a time. Therefore,
// the capacity is at most 5/4 of the size of the content.
const Buffered Quarters = 5

// Reader returns a wrapper of the parameter from. The wrapper charges the account a for each byte that it reads. The
// parameter each is the charge for one byte. If a is nil, Reader returns the parameter from unchanged.
func Reader(from io.ReadCloser, a *Account, each Quarters) io.ReadCloser {
	if a == nil {
		return from
	}
	return &reader{ReadCloser: from, account: a, each: each}
}

type reader struct {
	io.ReadCloser
	account *Account
	each    Quarters
}

// Read returns ErrExceeded if the account refuses the charge for the bytes that were read.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if taken := r.account.Take((int64(n)*int64(r.each) + 3) / 4); taken != nil {
		return 0, taken
	}
	return n, err
}

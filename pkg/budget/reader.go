// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import "io"

// Quarters is an amount of memory in quarters of a byte. For example, 5 means 1.25 bytes.
type Quarters int64

// Buffered is the memory for each byte of a body that is read into a buffer: five quarters of a byte.
const Buffered Quarters = 5 // The capacity exceeds the length by up to a quarter.

// Reader returns a wrapper of body. For each byte that the wrapper reads, it charges perByte to the account. If account
// is nil, Reader returns body itself.
func Reader(body io.ReadCloser, account *Account, perByte Quarters) io.ReadCloser {
	if account == nil {
		return body
	}
	return &reader{ReadCloser: body, account: account, perByte: perByte}
}

type reader struct {
	io.ReadCloser
	account *Account
	perByte Quarters
}

// Read returns ErrExceeded if the account refuses the charge for the bytes that were read.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if taken := r.account.Take((int64(n)*int64(r.perByte) + 3) / 4); taken != nil {
		return 0, taken
	}
	return n, err
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import "io"

// Quarters is the cost of each byte read, in quarters of a byte.
type Quarters int64

// Buffered is the cost of a byte that is read into a buffer that grows by a quarter at a time.
const Buffered Quarters = 5

// Reader returns a reader that charges an account for each byte that it reads, at the cost each. With a nil account, it
// returns from.
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

// Read reads bytes and charges the account for them. It returns ErrExceeded if the account refuses them.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if taken := r.account.Take((int64(n)*int64(r.each) + 3) / 4); taken != nil {
		return 0, taken
	}
	return n, err
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import "io"

// Reader reads what somebody will hold, and takes each byte from an account before it is there.
func Reader(from io.ReadCloser, a *Account) io.ReadCloser {
	if a == nil {
		return from
	}
	return &reader{ReadCloser: from, account: a}
}

type reader struct {
	io.ReadCloser
	account *Account
}

// Read is ErrExceeded where the bytes may not be held. Whoever reads all of it into one buffer holds a quarter more, by which that grows.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if taken := r.account.Take(int64(n) + int64(n)/4); taken != nil {
		return 0, taken
	}
	return n, err
}

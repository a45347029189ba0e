// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package envelope

import "github.com/kubevision-io/kubevision/pkg/budget"

const (
	firstPiece = 64 << 10
	nextPiece  = 256 << 10
)

// Buffer stores written bytes in memory. It grows by allocating further slices instead of copying, and charges their
// sizes to a memory account.
type Buffer struct {
	account *budget.Account
	full    Pieces
	last    []byte
}

// NewBuffer returns an empty buffer. Its memory is charged to account. If account is nil, nothing is charged.
func NewBuffer(account *budget.Account) *Buffer { return &Buffer{account: account} }

// Write appends p. It returns budget.ErrExceeded if the account does not allow further bytes.
func (b *Buffer) Write(p []byte) (int, error) {
	if n := min(len(p), cap(b.last)-len(b.last)); n == len(p) {
		b.last = append(b.last, p...)
		return len(p), nil
	}
	size := nextPiece
	if b.last == nil {
		size = firstPiece
	}
	size = max(size, len(p))
	if err := b.account.Take(int64(size)); err != nil {
		return 0, err
	}
	if len(b.last) > 0 {
		b.full = append(b.full, b.last)
	}
	b.last = append(make([]byte, 0, size), p...)
	return len(p), nil
}

// Pieces returns all written bytes without copying them. Write must not be called afterwards.
func (b *Buffer) Pieces() Pieces { return append(b.full, b.last) }

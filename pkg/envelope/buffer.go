// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package envelope

import "github.com/kubevision-io/kubevision/pkg/budget"

const (
	firstPiece = 64 << 10
	nextPiece  = 256 << 10
)

// Buffer stores data while it is being generated. It grows without copies, and charges its bytes to an account.
type Buffer struct {
	account *budget.Account
	full    Pieces
	last    []byte
}

// NewBuffer returns an empty buffer.
func NewBuffer(account *budget.Account) *Buffer { return &Buffer{account: account} }

// Write adds bytes. It returns budget.ErrExceeded if the account has no bytes left.
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

// Pieces returns all bytes that were written.
func (b *Buffer) Pieces() Pieces { return append(b.full, b.last) }

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package budget bounds the bytes that requests hold in memory, in all and for each holder.
package budget

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrExceeded is returned where bytes are asked for that a holder may not have. It is wrapped with the reason.
var ErrExceeded = errors.New("too many bytes are in flight")

var (
	errShare = fmt.Errorf("%w: the holder has its share", ErrExceeded)
	errLimit = fmt.Errorf("%w: one request holds more than it may", ErrExceeded)
)

// Budget is a number of bytes that holders share. One may have as many as are left: alone half of all, beside n others who have as many a share
// of one in n+2. So something is left for whoever comes next, and nobody waits for anybody.
type Budget struct {
	Options

	mu   sync.Mutex
	used int64
	held map[string]int64
}

// Options are the numbers of a budget.
type Options struct {
	// Total is the number of bytes.
	Total int64
	// Share is the largest number that one holder may have; 0 is no limit beside the part of what is left.
	Share int64
	// Step is the number of bytes that accounts take at a time, so that few bytes do not cost a turn at the budget each.
	Step int64
}

// New makes a budget of so many bytes.
func New(total int64) *Budget { return NewShared(Options{Total: total, Step: step}) }

// NewShared makes a budget.
func NewShared(o Options) *Budget { return &Budget{Options: o, held: map[string]int64{}} }

// Used is the number of bytes that are held.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// Account is an account of a holder, for one request, that may take at most limit bytes; 0 is no limit of its own. It must be closed.
// A nil budget has nil accounts.
func (b *Budget) Account(holder string, limit int64) *Account {
	if b == nil {
		return nil
	}
	return &Account{budget: b, holder: holder, limit: limit}
}

func (b *Budget) rounded(n int64) int64 { return n / b.Step * b.Step }

func (b *Budget) take(holder string, n int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	held := b.held[holder] + n
	if held > b.Total-b.used || (b.Share > 0 && held > b.Share) {
		return errShare
	}
	b.used += n
	b.held[holder] += n
	return nil
}

func (b *Budget) give(holder string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	if b.held[holder] -= n; b.held[holder] <= 0 {
		delete(b.held, holder)
	}
}

// Account counts what one request holds. A nil account counts nothing and refuses nothing.
type Account struct {
	budget *Budget
	holder string
	limit  int64

	mu     sync.Mutex
	taken  int64
	spare  int64
	closed bool
}

// step is the Step of budgets that do not say.
const step = 64 << 10

// Take asks for n more bytes. It returns ErrExceeded where the holder may not have them, and after Close.
func (a *Account) Take(n int64) error {
	if a == nil || n <= 0 {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return fmt.Errorf("%w: the request has ended", ErrExceeded)
	}
	if n <= a.spare {
		a.spare -= n
		return nil
	}
	wanted := n - a.spare
	rounded := a.budget.rounded(wanted + a.budget.Step - 1)
	if a.limit > 0 && a.taken+wanted > a.limit {
		return errLimit
	}
	if err := a.budget.take(a.holder, rounded); err != nil {
		return err
	}
	a.taken += rounded
	a.spare = rounded - wanted
	return nil
}

// Give returns n bytes that were taken.
func (a *Account) Give(n int64) {
	if a == nil || n <= 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	a.spare += n
	if whole := a.budget.rounded(a.spare); whole > 0 {
		a.spare -= whole
		a.taken -= whole
		a.budget.give(a.holder, whole)
	}
}

// Close returns all bytes.
func (a *Account) Close() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	a.closed = true
	a.budget.give(a.holder, a.taken)
	a.taken, a.spare = 0, 0
}

type accountKey struct{}

// With makes an account findable in the context.
func With(ctx context.Context, a *Account) context.Context {
	return context.WithValue(ctx, accountKey{}, a)
}

// From is the account of a request, nil where there is none.
func From(ctx context.Context) *Account {
	a, _ := ctx.Value(accountKey{}).(*Account)
	return a
}

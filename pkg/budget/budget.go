// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package budget bounds the bytes that requests hold in memory, in total and for each holder.
package budget

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrExceeded is returned if a holder may not have the requested bytes. It is wrapped with the reason.
var ErrExceeded = errors.New("too many bytes are in use")

var (
	errShare = fmt.Errorf("%w: the requests of the user would exceed the share of one user", ErrExceeded)
	errLimit = fmt.Errorf("%w: the request would exceed the limit for one request", ErrExceeded)
)

// Budget is a number of bytes that holders share. It refuses bytes if the holder would then have more bytes than were
// free before. A holder that takes small amounts therefore gets half of the total if it is the only holder, and one
// part in n+1 if there are n equal holders. Each further holder gets some bytes without waiting.
type Budget struct {
	Options

	mu   sync.Mutex
	used int64
	held map[string]int64
}

// Options configures a budget.
type Options struct {
	// Total is the number of bytes.
	Total int64
	// Share bounds the bytes of one holder. Zero means that only the free bytes limit a holder.
	Share int64
	// Step is the number of bytes that accounts take at a time, to reduce the contention for the budget.
	Step int64
}

// New returns a budget of a number of bytes.
func New(total int64) *Budget { return NewShared(Options{Total: total, Step: step}) }

// NewShared returns a budget with options.
func NewShared(o Options) *Budget { return &Budget{Options: o, held: map[string]int64{}} }

// Used returns the number of bytes that are held.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// Account opens an account of a holder for one request. The account may hold at most limit bytes, or any number if
// limit is zero. The caller must close it. A nil budget returns nil accounts.
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

// Account counts the bytes that one request holds. A nil account counts nothing and refuses nothing.
type Account struct {
	budget *Budget
	holder string
	limit  int64

	mu     sync.Mutex
	taken  int64
	spare  int64
	closed bool

	// alone is locked while the request holds bytes of HoldAlone.
	alone sync.Mutex
}

// step is the default Step.
const step = 64 << 10

// ForHolder opens an account of the same budget for another holder, for example for bytes that several requests share.
func (a *Account) ForHolder(holder string) *Account {
	if a == nil {
		return nil
	}
	return a.budget.Account(holder, 0)
}

// Take takes n more bytes. It returns ErrExceeded if the holder may not have them, and after Close.
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

// Hold takes n more bytes until release is called.
func (a *Account) Hold(n int64) (release func(), err error) {
	if err := a.Take(n); err != nil {
		return nil, err
	}
	return func() { a.Give(n) }, nil
}

// HoldAlone is like Hold, for many bytes that are held briefly. It waits while another call for the same request holds
// bytes, so that their sum does not exceed the share of the holder.
func (a *Account) HoldAlone(n int64) (release func(), err error) {
	if a == nil {
		return func() {}, nil
	}
	a.alone.Lock()
	if err := a.Take(n); err != nil {
		a.alone.Unlock()
		return nil, err
	}
	return func() {
		a.Give(n)
		a.alone.Unlock()
	}, nil
}

// Give returns n bytes to the budget.
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

// Close returns all bytes to the budget.
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

// WithAccount returns a context with an account.
func WithAccount(ctx context.Context, a *Account) context.Context {
	return context.WithValue(ctx, accountKey{}, a)
}

// AccountFrom returns the account of a context, or nil.
func AccountFrom(ctx context.Context) *Account {
	a, _ := ctx.Value(accountKey{}).(*Account)
	return a
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package budget limits the memory that requests use, in total and for each holder. It also limits the processor time
// of each holder. A holder is a user, or another owner of requests.
package budget

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kubevision-io/kubevision/pkg/userlimit"
)

// ErrExceeded is wrapped by all errors that refuse memory to a request. Callers check for it with errors.Is.
var ErrExceeded = errors.New("too many bytes are in use")

var (
	errShare = fmt.Errorf("%w: the requests of the user would exceed the share of one user", ErrExceeded)
	errLimit = fmt.Errorf("%w: the request would exceed the limit for one request", ErrExceeded)
)

// Budget limits the memory that the requests of all users take together, in bytes.
type Budget struct {
	Options

	mu   sync.Mutex
	used int64
	held map[string]int64
}

// Options configures a Budget.
type Options struct {
	// Total is the size of the Budget, in bytes.
	Total int64
	// Share bounds the memory of each holder, in bytes. A holder is usually a user. Zero means no such limit.
	Share int64
	// Step is the number of bytes that an Account takes from the Budget at a time, to reduce lock contention. The
	// default is 64 KiB.
	Step int64
	// Work limits the processor time and the number of concurrent tasks of each holder. A holder is usually a user. Nil
	// means no limit.
	Work *userlimit.Gates
}

// New returns a Budget with the given size in bytes, and with defaults for the other options.
func New(total int64) *Budget { return NewShared(Options{Total: total}) }

// NewShared returns a Budget with the given options. All holders share this Budget. A holder is usually a user.
func NewShared(o Options) *Budget {
	o.Step = cmp.Or(o.Step, step)
	return &Budget{Options: o, held: map[string]int64{}}
}

// Used returns the number of bytes in use.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// Account opens an account for the memory of one request. The holder is the owner of the request, usually a user. The
// account can take at most limit bytes. If the limit is 0, only the limits of the Budget apply. The caller must close
// the account. A nil Budget returns a nil Account, which has no limits.
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
	// A holder that takes memory in small steps can take half of the Budget. Two such holders can take a third each. A
	// part of the same size remains free for a new holder.
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

// Account counts the memory of one request in a Budget. A nil Account has no limits.
type Account struct {
	budget *Budget
	holder string
	limit  int64

	mu     sync.Mutex
	taken  int64
	spare  int64
	closed bool

	// alone ensures that only one call of HoldAlone holds bytes at a time.
	alone sync.Mutex
}

// step is the default of Options.Step, in bytes.
const step = 64 << 10

// ForHolder opens an account for another holder in the same Budget. The holder is a user, or a name for memory that
// several requests share.
func (a *Account) ForHolder(holder string) *Account {
	if a == nil {
		return nil
	}
	return a.budget.Account(holder, 0)
}

// Take takes n more bytes. It returns ErrExceeded if a limit would be exceeded or the account is closed.
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

// Hold takes n more bytes. The returned function gives these bytes back. Hold returns ErrExceeded if a limit would be
// exceeded or the account is closed.
func (a *Account) Hold(n int64) (release func(), err error) {
	if err := a.Take(n); err != nil {
		return nil, err
	}
	return func() { a.Give(n) }, nil
}

// HoldAlone takes n more bytes. It is intended for large amounts that are needed for a short time. It first waits until
// no other call of HoldAlone holds bytes of the same account. The returned function gives the bytes back. HoldAlone
// returns ErrExceeded if a limit would be exceeded or the account is closed.
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

// Do waits until the owner of the account, usually a user, is within the limit for processor time, and then calls work.
// The duration of the call counts as processor time of this owner. If ctx ends during the wait, Do returns an error and
// does not call work. The function work must not wait for other requests, and must not call Do.
func (a *Account) Do(ctx context.Context, work func()) error {
	if a == nil || a.budget.Work == nil {
		work()
		return nil
	}
	return a.budget.Work.Do(ctx, a.holder, work) //nolint:wrapcheck // the caller knows the context
}

// Charge counts processor time that was used outside of Account.Do. Charge never waits, but can delay later calls of
// Account.Do.
func (a *Account) Charge(duration time.Duration) {
	if a != nil {
		a.budget.Work.Charge(a.holder, duration)
	}
}

// Give gives n bytes back.
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

// Close gives all bytes of the account back. Later calls of Take return ErrExceeded.
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

// WithAccount returns a copy of ctx that contains the account.
func WithAccount(ctx context.Context, a *Account) context.Context {
	return context.WithValue(ctx, accountKey{}, a)
}

// AccountFrom returns the account in ctx, or nil.
func AccountFrom(ctx context.Context) *Account {
	a, _ := ctx.Value(accountKey{}).(*Account)
	return a
}

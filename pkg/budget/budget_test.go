// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const total = 100 * step

func fill(a *Account) int {
	taken := 0
	for a.Take(step) == nil {
		taken++
	}
	return taken
}

// TestShares verifies that one holder gets half of the budget, whatever the number of its requests is, and that the
// next holder gets half of the rest.
func TestShares(t *testing.T) {
	b := New(total)
	first, again := b.Account("greedy", 0), b.Account("greedy", 0)
	if got := fill(first) + fill(again); got != 50 {
		t.Errorf("one holder has %d of 100", got)
	}
	next := b.Account("next", 0)
	if got := fill(next); got != 25 {
		t.Errorf("the next one has %d of the 50 that are left", got)
	}
	if err := first.Take(1); !errors.Is(err, ErrExceeded) {
		t.Errorf("a full account: %v", err)
	}
	first.Close()
	first.Close()
	if err := first.Take(1); !errors.Is(err, ErrExceeded) {
		t.Errorf("a closed account: %v", err)
	}
	again.Close()
	next.Close()
	if b.Used() != 0 || len(b.held) != 0 {
		t.Errorf("%d bytes are held by %v", b.Used(), b.held)
	}
}

func TestTheLimitOfARequest(t *testing.T) {
	a := New(total).Account("holder", 3*step)
	if got := fill(a); got != 3 {
		t.Errorf("it took %d of 3", got)
	}
	a.Give(step)
	if got := fill(a); got != 1 {
		t.Errorf("it took %d after it gave 1", got)
	}
}

// TestHoldAlone verifies that calls of HoldAlone for one request do not overlap.
func TestHoldAlone(t *testing.T) {
	b := New(total)
	a := b.Account("holder", 0)
	release, err := a.HoldAlone(40 * step)
	if err != nil {
		t.Fatal(err)
	}
	begun, second := make(chan bool), make(chan error, 1)
	go func() {
		close(begun)
		release, err := a.HoldAlone(40 * step)
		if err == nil {
			release()
		}
		second <- err
	}()
	if err := a.Take(step); err != nil { // Take does not wait
		t.Error(err)
	}
	<-begun
	time.Sleep(20 * time.Millisecond) // the other call must block
	release()
	if err := <-second; err != nil {
		t.Errorf("both were held at once: %v", err)
	}
	if _, err := a.HoldAlone(total); !errors.Is(err, ErrExceeded) {
		t.Errorf("beyond the share: %v", err)
	}
	if release, err = a.HoldAlone(step); err != nil {
		t.Fatalf("after an error: %v", err)
	}
	release()
	a.Close()
	if b.Used() != 0 {
		t.Errorf("%d bytes are held", b.Used())
	}
}

func TestNobodyCounts(t *testing.T) {
	var a *Account
	if err := a.Take(1 << 40); err != nil {
		t.Error(err)
	}
	a.Give(1)
	a.Close()
	if AccountFrom(t.Context()) != nil {
		t.Error("there is an account")
	}
	if AccountFrom(WithAccount(t.Context(), New(1).Account("x", 0))) == nil {
		t.Error("the account is not found")
	}
}

func TestConcurrentHolders(t *testing.T) {
	b := New(total)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			for range 200 {
				a := b.Account(strconv.Itoa(i%5), 0)
				for range 5 {
					if a.Take(3*step/2) == nil && i%2 == 0 {
						a.Give(step)
					}
				}
				if used := b.Used(); used > total {
					t.Errorf("%d of %d are used", used, total)
				}
				a.Close()
			}
		})
	}
	all.Wait()
	if b.Used() != 0 || len(b.held) != 0 {
		t.Errorf("%d bytes are held by %v", b.Used(), b.held)
	}
}

func TestReader(t *testing.T) {
	a := New(total).Account("holder", step)
	read, err := io.ReadAll(Reader(io.NopCloser(strings.NewReader(strings.Repeat("x", 4*step))), a, Buffered))
	if !errors.Is(err, ErrExceeded) || len(read) > step {
		t.Errorf("%d bytes were read: %v", len(read), err)
	}
}

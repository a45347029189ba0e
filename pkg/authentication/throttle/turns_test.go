// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func accountFlows(account string) []flow { return []flow{{account, 1}} }

func attemptFlows(address, account string) []flow {
	a := &Attempt{login: Login{Address: netip.MustParseAddr(address)}, account: keyedCounter{key: key{name: account}}}
	return a.flows()
}

// TestTurns verifies that at most one login attempt of an account runs at a time. It also verifies that no data of
// ended attempts remain in memory.
func TestTurns(t *testing.T) {
	var (
		turns  turns
		group  sync.WaitGroup
		inside atomic.Int32
	)
	for range Stranger.maxWaiting() {
		group.Go(func() {
			turn, err := turns.enter(t.Context(), Stranger, "a", accountFlows("a"))
			if err != nil {
				t.Error(err)
				return
			}
			if n := inside.Add(1); n != 1 {
				t.Errorf("%d at once", n)
			}
			inside.Add(-1)
			turn.end(false)
		})
	}
	group.Wait()
	turn, err := turns.enter(t.Context(), Stranger, "a", accountFlows("a"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := turns.enter(ctx, Stranger, "a", accountFlows("a")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("where somebody else's turn does not end: %v", err)
	}
	other, err := turns.enter(t.Context(), Stranger, "b", accountFlows("b"))
	if err != nil {
		t.Fatalf("another account: %v", err)
	}
	other.end(false)
	turn.end(false)
	if len(turns.busy) != 0 || turns.strangers.free != defaultPlaces || turns.strangers.waiting() != 0 {
		t.Errorf("left behind: %v, %d free places, %d waiting", turns.busy, turns.strangers.free,
			turns.strangers.waiting())
	}
}

// fill starts login attempts of unknown clients until the limit of concurrent attempts is reached. It returns the
// running attempts.
func fill(t *testing.T, turns *turns) (inside []*turn) {
	t.Helper()
	for i := range defaultPlaces {
		turn, err := turns.enter(t.Context(), Stranger, strconv.Itoa(i), nil)
		if err != nil {
			t.Fatal(err)
		}
		inside = append(inside, turn)
	}
	return inside
}

// TestStrangersAreBounded verifies that the number of waiting login attempts of unknown clients is limited. Further
// attempts are rejected at once, with the time after which a client may retry. Login attempts of known clients do not
// wait, even while the limit is reached.
func TestStrangersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns turns
		inside := fill(t, &turns)
		var waited atomic.Int32
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 3 * Stranger.maxWaiting() {
			go func() {
				name := strconv.Itoa(1000 + i)
				_, err := turns.enter(ctx, Stranger, name, accountFlows(name))
				if errors.Is(err, context.Canceled) {
					waited.Add(1)
					return
				}
				busy, ok := errors.AsType[*BusyError](err)
				if !ok || !errors.Is(err, ErrBusy) || busy.RetryAfter < time.Second {
					t.Errorf("refused with %v", err)
				}
			}()
		}
		synctest.Wait()
		for class := KnownAddress; class < classes; class++ {
			begun := time.Now()
			known, err := turns.enter(ctx, class, "known", accountFlows("known"))
			if err != nil || time.Since(begun) > 0 {
				t.Fatalf("class %d waits for %s: %v", class, time.Since(begun), err)
			}
			known.end(false)
		}
		cancel()
		synctest.Wait()
		if n := waited.Load(); n != int32(Stranger.maxWaiting()) { //nolint:gosec // small
			t.Errorf("%d waited", n)
		}
		for _, turn := range inside {
			turn.end(false)
		}
		if turns.strangers.waiting() != 0 || turns.strangers.free != defaultPlaces || len(turns.busy) != 0 {
			t.Errorf("left behind: %d waiting, %d free, %v", turns.strangers.waiting(), turns.strangers.free,
				turns.busy)
		}
	})
}

// TestANewcomerIsServed verifies that a login attempt of a new client is complete within seconds during a flood of
// login attempts. A flood comes from one network or from many addresses. In one case, all attempts of the flood are for
// the same account.
func TestANewcomerIsServed(t *testing.T) {
	const hash = 40 * time.Millisecond
	for name, tc := range map[string]struct {
		attackers int
		address   func(n int) string
		account   func(n int) string
		within    time.Duration
	}{
		"an address each": {60, func(n int) string { return "203." + octets(n) }, unique, 4 * time.Second},
		"one /48 of IPv6": {100, func(n int) string {
			return "2001:db8:bad:" + strconv.FormatInt(int64(n%65536), 16) + "::1"
		}, unique, time.Second},
		"one /24 of IPv4": {100, func(n int) string {
			return "203.0.113." + strconv.Itoa(n%256)
		}, unique, time.Second},
		"many networks, again": {100, func(n int) string {
			return "203.0." + strconv.Itoa(n%40) + ".7"
		}, unique, 4 * time.Second},
		"an address each, one name": {100, func(n int) string {
			return "203." + octets(n)
		}, func(int) string { return "victim" }, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var turns turns
				ctx, cancel := context.WithCancel(t.Context())
				var sent atomic.Int32
				for range tc.attackers {
					go func() {
						for ctx.Err() == nil {
							n := int(sent.Add(1))
							patient, done := context.WithTimeout(ctx, patience)
							turn, err := turns.enter(patient, Stranger, tc.account(n),
								attemptFlows(tc.address(n), tc.account(n)))
							if err == nil {
								time.Sleep(hash)
								turn.end(true)
							} else {
								time.Sleep(100 * time.Millisecond) // a network round trip to the client
							}
							done()
						}
					}()
				}
				time.Sleep(6 * time.Second)
				for i := range 10 {
					begun := time.Now()
					name := "newcomer-" + strconv.Itoa(i)
					turn, err := turns.enter(ctx, Stranger, name, attemptFlows("198.51."+strconv.Itoa(i)+".7", name))
					if err != nil {
						t.Errorf("refused: %v", err)
						continue
					}
					time.Sleep(hash)
					turn.end(false)
					if took := time.Since(begun); took > tc.within {
						t.Errorf("a newcomer waits for %s", took)
					}
				}
				turns.mu.Lock()
				for class := range classes {
					if n := len(turns.lines[class].nextRanks); n > flowsPerAttempt*class.maxWaiting() {
						t.Errorf("%d flows are remembered", n)
					}
				}
				turns.mu.Unlock()
				cancel()
				time.Sleep(time.Minute)
			})
		})
	}
}

func unique(n int) string { return "account-" + strconv.Itoa(n) }

func octets(n int) string {
	return strconv.Itoa(n>>16&255) + "." + strconv.Itoa(n>>8&255) + "." + strconv.Itoa(n&255)
}

// TestTurnsRest verifies that a failed login attempt counts towards the limit of concurrent attempts until the end of a
// pause. At the limit, the next attempt starts only after the pause. The pause limits the rate of guessed passwords. A
// successful attempt causes no pause.
func TestTurnsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns turns
		const took = 50 * time.Millisecond
		for _, failed := range []bool{false, true} {
			inside := fill(t, &turns)
			time.Sleep(took)
			for _, turn := range inside {
				turn.end(failed)
			}
			ended := time.Now()
			turn, err := turns.enter(t.Context(), Stranger, "0", nil)
			if err != nil {
				t.Fatal(err)
			}
			want := time.Duration(0)
			if failed {
				want = pauseFactor * took
			}
			if waited := time.Since(ended); waited != want {
				t.Errorf("where attempts failed (%t), the next waits for %s, want %s", failed, waited, want)
			}
			turn.end(false)
		}
		time.Sleep(time.Second)
		turns.mu.Lock()
		defer turns.mu.Unlock()
		if turns.strangers.free != defaultPlaces {
			t.Errorf("%d places are free", turns.strangers.free)
		}
	})
}

// TestFlowsAreForgotten verifies that a queue stores a limited number of flows, although more and more flows arrive. A
// flow is a group of login attempts, for example all attempts from one network.
func TestFlowsAreForgotten(t *testing.T) {
	l := &fairQueue{limit: 4}
	for i := range 100 * flowsPerAttempt {
		waiting := &ticket{flows: accountFlows(strconv.Itoa(i)), rank: float64(i % 7)}
		l.join(waiting)
		l.leave(waiting)
		if n := len(l.nextRanks); n > flowsPerAttempt*l.limit+len(waiting.flows) {
			t.Fatalf("%d flows are remembered", n)
		}
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"testing"
	"testing/synctest"
	"time"
)

// poolMember is a member of a Pool.
type poolMember struct {
	*share
	ended chan struct{}
}

func newPoolMember(p *Pool, registered int64) poolMember {
	m := poolMember{ended: make(chan struct{})}
	joined := make(chan *share, 1)
	m.share = p.join(100, time.Unix(registered, 0), func() {
		(<-joined).leave()
		close(m.ended)
	})
	joined <- m.share
	return m
}

func (m poolMember) wantsEnd(t *testing.T, what string, want bool) {
	t.Helper()
	if m.isDisconnected() != want {
		t.Errorf("%s: it is ended: %t, want %t", what, !want, want)
	}
	if want {
		<-m.ended
	}
}

// TestPool verifies that a member that exceeds its limit is ended, and that a recently registered member is ended if
// all members together exceed the limit of the pool.
func TestPool(t *testing.T) {
	p := NewPool(200)
	old, small, young := newPoolMember(p, 1), newPoolMember(p, 3), newPoolMember(p, 2)
	if !old.spend(90) || !young.spend(90) || !small.spend(10) {
		t.Fatal("what fits is refused")
	}
	if !old.spend(10) {
		t.Fatal("what fits exactly is refused")
	}
	if !small.spend(1) {
		t.Error("a small member is refused, which came last")
	}
	young.wantsEnd(t, "the younger one of those that take most", true)
	old.wantsEnd(t, "the oldest", false)
	if young.spend(1) || p.spent != 111 {
		t.Errorf("one that is ended spends on, or %d are spent", p.spent)
	}
	if old.spend(1) {
		t.Error("more than one may have is spent")
	}
	<-old.ended
	if p.spent != 11 {
		t.Errorf("%d are spent", p.spent)
	}
	small.leave()
	if !small.spend(1) || p.spent != 0 || len(p.shares) != 0 {
		t.Errorf("%d are spent by %d", p.spent, len(p.shares))
	}
}

// TestPoolOfChanges verifies that changes are added up even if they replace objects, and that the objects of the member
// with the most changes are then read again, without ending another member.
func TestPoolOfChanges(t *testing.T) {
	p := NewPool(200)
	busy, quiet := newPoolMember(p, 1), newPoolMember(p, 2)
	for _, m := range []poolMember{busy, quiet} {
		m.spend(40)
		m.markSynced()
	}
	quiet.spend(60)
	busy.spend(59)
	quiet.wantsEnd(t, "before", false)
	busy.spend(2)
	busy.wantsEnd(t, "the one with most changes", true)
	quiet.wantsEnd(t, "the other one", false)
}

// TestPoolOfManyMembers verifies that many new members that send many objects do not end an older member.
func TestPoolOfManyMembers(t *testing.T) {
	p := NewPool(200)
	old := newPoolMember(p, 0)
	old.spend(20)
	for i := range int64(1000) {
		newPoolMember(p, i+1).spend(60)
	}
	old.wantsEnd(t, "the oldest", false)
	if !old.spend(1) || p.spent > 200 {
		t.Errorf("the oldest is refused, or %d are spent", p.spent)
	}
}

// TestPoolWaitsForRelease verifies that memory that an ended member still holds is not granted to other members.
func TestPoolWaitsForRelease(t *testing.T) {
	for name, test := range map[string]struct{ release, want time.Duration }{
		"in time":  {3 * time.Second, 3 * time.Second},
		"too late": {time.Hour, releaseTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := NewPool(100)
				old := p.join(100, time.Unix(1, 0), func() { t.Error("the older member was ended") })
				shares := make(chan *share, 1)
				young := p.join(100, time.Unix(2, 0), func() {
					ended := <-shares
					ended.stop()
					time.Sleep(test.release)
					ended.leave()
				})
				shares <- young
				if !young.spend(60) || !old.spend(40) {
					t.Fatal("what fits is refused")
				}
				begun := time.Now()
				if !old.spend(10) {
					t.Error("the older member is refused")
				}
				if took := time.Since(begun); took != test.want {
					t.Errorf("the older member waited for %s, want %s", took, test.want)
				}
				if young.spend(1) {
					t.Error("the ended member spends on")
				}
				time.Sleep(test.release)
				synctest.Wait()
				if p.spent != 50 || p.disconnectedBytes != 0 {
					t.Errorf("%d are spent, %d of them by members that were ended", p.spent, p.disconnectedBytes)
				}
			})
		})
	}
}

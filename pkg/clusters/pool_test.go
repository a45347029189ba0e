// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"testing"
	"time"
)

// poolMember is a member of a Pool in a test.
type poolMember struct {
	*share
	ended chan struct{}
}

func newPoolMember(p *Pool, registered int64) poolMember {
	ended := make(chan struct{})
	return poolMember{share: p.join(100, time.Unix(registered, 0), func() { close(ended) }), ended: ended}
}

func (m poolMember) wantsEnd(t *testing.T, what string, want bool) {
	t.Helper()
	if m.isOver() != want {
		t.Errorf("%s: it is ended: %t, want %t", what, !want, want)
	}
	if want {
		<-m.ended
	}
}

// TestPool: a member that has spent too much is ended, and of many that spend too much together one of the younger ones.
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
	if old.spend(1) || p.spent != 11 {
		t.Errorf("more than one may have is spent, or %d are spent", p.spent)
	}
	small.leave()
	if !small.spend(1) || p.spent != 0 || len(p.shares) != 0 {
		t.Errorf("%d are spent by %d", p.spent, len(p.shares))
	}
}

// TestPoolOfChanges: changes add up while they take no memory. The member with most of them is read anew, and nobody
// gives way for good.
func TestPoolOfChanges(t *testing.T) {
	p := NewPool(200)
	busy, quiet := newPoolMember(p, 1), newPoolMember(p, 2)
	for _, m := range []poolMember{busy, quiet} {
		m.spend(40)
		m.fill()
	}
	quiet.spend(60)
	busy.spend(59)
	quiet.wantsEnd(t, "before", false)
	busy.spend(2)
	busy.wantsEnd(t, "the one with most changes", true)
	quiet.wantsEnd(t, "the other one", false)
}

// TestPoolOfManyMembers: whoever registers many clusters that send much ends none that is older.
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

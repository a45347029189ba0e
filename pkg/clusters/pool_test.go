// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"testing"
	"testing/synctest"
	"time"
)

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
		t.Fatalf("%s: it is ended: %t, want %t", what, !want, want)
	}
	if want {
		<-m.ended
	}
}

// TestPool verifies that the Pool disconnects a member cluster if the cached objects of this cluster need too much
// memory. If all clusters together need too much memory, the Pool disconnects a recently registered large cluster.
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

// TestPoolOfChanges verifies that each change counts as additional memory, even if it replaces a cached object. If
// changes fill the Pool, it disconnects the member cluster with the most changes.
func TestPoolOfChanges(t *testing.T) {
	p := NewPool(200)
	busy, large, young := newPoolMember(p, 1), newPoolMember(p, 2), newPoolMember(p, 3)
	for m, initial := range map[poolMember]int64{busy: 20, large: 90, young: 20} {
		m.spend(initial)
		m.markSynced()
	}
	busy.spend(70)
	large.wantsEnd(t, "before the Pool is full", false)
	young.spend(1)
	busy.wantsEnd(t, "the cluster with the most changes", true)
	large.wantsEnd(t, "a large cluster that was registered later", false)
	young.wantsEnd(t, "the cluster that was registered last", false)
}

// TestPoolOfManyMembers verifies that the Pool does not disconnect an old member cluster if many new clusters need too
// much memory.
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

// TestPoolWaitsForRelease verifies that a member cluster waits for memory until a disconnected cluster has released its
// cached objects. The wait ends after releaseTimeout at the latest.
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

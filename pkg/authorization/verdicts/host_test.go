// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"context"
	"errors"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apiserver/pkg/authentication/user"
)

// newHarnessWithWatches returns a harness that simulates watches of the RBAC objects in all clusters.
func newHarnessWithWatches(t *testing.T) *harness {
	t.Helper()
	h := newHarness(t, 100)
	h.follow = func(ctx context.Context, _ connection, s *scope) {
		for _, resource := range rbacResources() {
			s.connected(resource)
		}
		<-ctx.Done()
	}
	t.Cleanup(h.Stop)
	return h
}

func (h *harness) awaitWatch(t *testing.T, cluster connection) *scope {
	t.Helper()
	s := h.scopeOf(cluster)
	for range 1000 {
		if _, healthy := s.recordUse(h.clock.Now()); healthy {
			h.after(settleTime) // verdicts are now valid for maxAge
			return s
		}
		wait(t.Context(), firstPause/10)
	}
	t.Fatal("the RBAC objects are not watched")
	return nil
}

// TestReviewed verifies that the result of a review is reused only for the same user, cluster and question, until an
// RBAC object changes.
func TestReviewed(t *testing.T) {
	h := newHarnessWithWatches(t)
	cluster, another := &fakeConnection{done: make(chan struct{})}, &fakeConnection{done: make(chan struct{})}
	s := h.awaitWatch(t, cluster)
	h.awaitWatch(t, another)
	alice := user.DefaultInfo{Name: "alice", UID: "1", Groups: []string{"a"}, Extra: map[string][]string{"x": {"y"}}}
	use := authorizationv1.ResourceAttributes{
		Verb:     "use",
		Group:    "kubevision.io",
		Resource: "kubevisionclusters",
		Name:     "one",
	}
	reviews := 0
	expect := func(what string, c connection, u user.DefaultInfo, a authorizationv1.ResourceAttributes, allowed bool) {
		t.Helper()
		reviews++
		for range 2 {
			got, err := h.reviewed(t.Context(), c, &u, &a, h.answer)
			if err != nil || got != allowed || int(h.reviews.Load()) != reviews {
				t.Errorf(
					"%s: %t (%v) after %d reviews, want %t after %d",
					what,
					got,
					err,
					h.reviews.Load(),
					allowed,
					reviews,
				)
			}
		}
	}
	expect("at first", cluster, alice, use, true)
	h.allowed.Store(false)
	expect("another cluster", another, alice, use, false)
	for what, change := range map[string]func(*user.DefaultInfo){
		"another name":    func(u *user.DefaultInfo) { u.Name = "bob" },
		"another UID":     func(u *user.DefaultInfo) { u.UID = "2" },
		"another group":   func(u *user.DefaultInfo) { u.Groups = []string{"b"} },
		"another extra":   func(u *user.DefaultInfo) { u.Extra = map[string][]string{"x": {"z"}} },
		"without a UID":   func(u *user.DefaultInfo) { u.UID = "" },
		"without a group": func(u *user.DefaultInfo) { u.Groups = nil },
		"without extra":   func(u *user.DefaultInfo) { u.Extra = nil },
	} {
		u := alice
		change(&u)
		expect(what, cluster, u, use, false)
	}
	two := use
	two.Name = "two"
	expect("another object", cluster, alice, two, false)
	s.recordChange()
	h.after(settleTime)
	expect("after a change", cluster, alice, use, false)
	h.allowed.Store(true)
	h.after(maxAge)
	expect("when it is old", cluster, alice, use, true)
}

// TestReviewedFails verifies that the cache returns the error of a failed access review, but does not store the error.
func TestReviewedFails(t *testing.T) {
	h := newHarnessWithWatches(t)
	cluster := &fakeConnection{done: make(chan struct{})}
	h.awaitWatch(t, cluster)
	ask := func(review func(context.Context) (bool, error)) (bool, error) {
		return h.reviewed(
			t.Context(),
			cluster,
			&user.DefaultInfo{Name: "alice"},
			&authorizationv1.ResourceAttributes{Verb: "use"},
			review,
		)
	}
	for range 2 {
		asked := false
		_, err := ask(func(context.Context) (bool, error) {
			asked = true
			return true, errAsked
		})
		if !errors.Is(err, errAsked) || !asked {
			t.Errorf("the error is %v, after a review: %t", err, asked)
		}
	}
	if allowed, err := ask(h.answer); err != nil || !allowed {
		t.Errorf("%t, %v", allowed, err)
	}
}

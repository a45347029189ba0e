// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
)

// TestLastVerdicts verifies in which cases an access review from before an outage of the cluster is used during the
// outage.
func TestLastVerdicts(t *testing.T) {
	for name, test := range map[string]struct {
		during func(h *harness)
		asOf   time.Duration
		want   bool
	}{
		"in an outage":                 {during: func(*harness) {}, want: true},
		"after a change in the outage": {during: func(h *harness) { h.scope.recordChange() }},
		"after the end of the outage":  {during: func(h *harness) { h.scope.connected("roles") }},
		"after the cluster was back for a moment": {during: func(h *harness) {
			h.scope.disconnected("rolebindings")
			h.scope.connected("roles")
			h.scope.disconnected("roles")
		}},
		"in a long outage":              {during: func(h *harness) { h.after(maxOutage + time.Second) }},
		"of objects of after the break": {during: func(*harness) {}, asOf: maxAge + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, 10)
			member := &fakeConnection{}
			h.scopes[member] = h.scope
			h.expect(t, "before", true, 1)
			h.scope.disconnected("roles")
			broken := h.clock.Now()
			test.during(h)
			if got := h.wasAllowed(member, number(1), viewerGrants(), broken.Add(test.asOf)); got != test.want {
				t.Errorf("allowed: %t, want %t", got, test.want)
			}
			if h.wasAllowed(member, number(2), viewerGrants(), broken) {
				t.Error("somebody is allowed for whom there was no verdict")
			}
		})
	}
}

func TestOldVerdictsAreNotLast(t *testing.T) {
	h := newHarness(t, 10)
	member := &fakeConnection{}
	h.scopes[member] = h.scope
	h.expect(t, "before", true, 1)
	h.allowed.Store(false)
	h.after(maxAge)
	h.expect(t, "a denial", false, 2)
	h.scope.disconnected("roles")
	if h.wasAllowed(member, number(1), viewerGrants(), h.clock.Now()) {
		t.Error("a denial is taken for the yes before it")
	}
	h.scope.connected("roles")
	h.allowed.Store(true)
	h.expect(t, "allowed anew", true, 3)
	h.after(maxAgeAtOutage + time.Second)
	h.scope.disconnected("roles")
	if h.wasAllowed(member, number(1), viewerGrants(), h.clock.Now()) {
		t.Error("a verdict is used that was old when the outage began")
	}
	h.scope.connected("roles")
	h.expect(t, "allowed once more", true, 4)
	h.scope.recordChange()
	h.scope.disconnected("roles")
	if h.wasAllowed(member, number(1), viewerGrants(), h.clock.Now()) {
		t.Error("a verdict is used that a change had ended before the outage")
	}
}

// TestRolesOfLastVerdicts verifies that an old access review is used only if the roles of the user have not changed.
// Old access reviews are used while the cluster does not respond.
func TestRolesOfLastVerdicts(t *testing.T) {
	two := []kubevisionv1alpha1.RoleReference{{Name: "admin"}, {Name: "readonly"}}
	for name, test := range map[string]struct {
		before, now []kubevisionv1alpha1.RoleReference
		err         error
		want        bool
	}{
		"both roles":          {before: two, now: two, want: true},
		"one of two roles":    {before: two, now: two[1:]}, // the lost role may have allowed the request
		"another role":        {before: two[:1], now: two[1:]},
		"no role":             {before: two},
		"never a role":        {},
		"roles are not known": {before: two, now: two, err: errAsked},
		"a role of another kind": {before: two[:1],
			now: []kubevisionv1alpha1.RoleReference{{Kind: kubevisionv1alpha1.RoleClusterRole, Name: "admin"}}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, 10)
			member := &fakeConnection{}
			h.scopes[member] = h.scope
			h.roles = test.before
			h.expect(t, "before", true, 1)
			h.scope.disconnected("roles")
			now, _ := granted(t.Context(), func(context.Context) ([]kubevisionv1alpha1.RoleReference, error) {
				return test.now, test.err
			})
			if got := h.wasAllowed(member, number(1), now, h.clock.Now()); got != test.want {
				t.Errorf("allowed: %t, want %t", got, test.want)
			}
		})
	}
}

// TestReviewsDuringOutages verifies that an access review has a short timeout only if both conditions are true:
//   - The cluster is unreachable.
//   - The result of an earlier access review can be used instead.
//
// The end of the short timeout must not count as a failure of the cluster.
func TestReviewsDuringOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, 10)
		member := &fakeConnection{}
		h.scopes[member] = h.scope
		bound := func(allowed bool) error {
			ctx, cancel := h.reviewContext(t.Context(), member, func() (bool, error) { return allowed, nil })
			defer cancel()
			time.Sleep(outageReviewTimeout)
			synctest.Wait()
			return context.Cause(ctx)
		}
		if err := bound(true); err != nil {
			t.Errorf("a review of a cluster that responds ends: %v", err)
		}
		h.scope.disconnected("roles")
		if err := bound(true); !errors.Is(err, clusters.ErrImpatient) {
			t.Errorf("a review that is not necessary ends with %v", err)
		}
		if err := bound(false); err != nil {
			t.Errorf("a necessary review ends: %v", err)
		}
	})
}

func viewerGrants() rolesHash {
	g, err := granted(context.Background(), func(context.Context) ([]kubevisionv1alpha1.RoleReference, error) {
		return viewerRoles(), nil
	})
	if err != nil {
		panic(err)
	}
	return g
}

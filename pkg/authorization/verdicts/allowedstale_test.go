// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"testing"
	"time"
)

// During an outage, those are allowed who were allowed just before it, as long as no change was seen.
func TestLastVerdicts(t *testing.T) {
	for name, test := range map[string]struct {
		during func(h *harness)
		asOf   time.Duration
		want   bool
	}{
		"in an outage":                 {during: func(*harness) {}, want: true},
		"after a change in the outage": {during: func(h *harness) { h.scope.hasChanged() }},
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
			if got := h.wasAllowed(member, number(1), broken.Add(test.asOf)); got != test.want {
				t.Errorf("allowed: %t, want %t", got, test.want)
			}
			if h.wasAllowed(member, number(2), broken) {
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
	if h.wasAllowed(member, number(1), h.clock.Now()) {
		t.Error("a denial is taken for the yes before it")
	}
	h.scope.connected("roles")
	h.allowed.Store(true)
	h.expect(t, "allowed anew", true, 3)
	h.after(lastAge + time.Second)
	h.scope.disconnected("roles")
	if h.wasAllowed(member, number(1), h.clock.Now()) {
		t.Error("a verdict is used that was old when the outage began")
	}
	h.scope.connected("roles")
	h.expect(t, "allowed once more", true, 4)
	h.scope.hasChanged()
	h.scope.disconnected("roles")
	if h.wasAllowed(member, number(1), h.clock.Now()) {
		t.Error("a verdict is used that a change had ended before the outage")
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"regexp"
	"sync"
	"testing"
	"time"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

var variable = regexp.MustCompile(`"requestId":"[^"]*"|"retryAfterSeconds":\d+`)

// TestLocksLookAlike verifies that too many failed logins have the same result for an existing user and an unknown
// name. Otherwise, an attacker could find out which users exist.
func TestLocksLookAlike(t *testing.T) {
	const tolerance = 2 * time.Second // responses contain whole seconds, and a request takes part of a second
	clients := pair(t)
	good := set().User(t, "good")
	disabled := set().User(t, "disabled", func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.Disabled = true })
	bare := set().User(t, "bare", func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.PasswordSecretRef = nil })
	good.Login(t, clients[1], wire.DirectPath)
	requests := map[string]wire.Request{
		"nobody": wrong(fixture.Name("nobody")), "somebody": wrong(good.Name),
		"disabled, right password": right(disabled), "no password": wrong(bare.Name),
		"no possible name": wrong("../../" + fixture.Name("x")),
	}
	answers := map[string]wire.Envelope{}
	left, locked := map[string]time.Duration{}, map[string]time.Time{}
	for i := range freeFailures + 1 {
		for name, r := range requests {
			answers[name] = clients[i%2].Call(t, r)
			if i == freeFailures-1 {
				locked[name] = time.Now()
			}
			left[name] = time.Duration(answers[name].Meta.RetryAfterSeconds)*time.Second + time.Since(locked[name])
			if i < freeFailures {
				answers[name].Want(t, wire.Unauthenticated)
			}
		}
	}
	nobody := answers["nobody"]
	for name, e := range answers {
		e.Want(t, wire.TooManyRequests)
		if got, want := variable.ReplaceAllString(string(e.Raw), ""), variable.ReplaceAllString(string(nobody.Raw),
			""); got != want {
			t.Errorf("%s: %s, for an unknown user: %s", name, got, want)
		}
		// The comparison uses the remaining time of the lock, so that the time between the two requests has no effect.
		if d := left[name] - left["nobody"]; d < -tolerance || d > tolerance {
			t.Errorf("%s: locked for %s, an unknown user for %s", name, left[name], left["nobody"])
		}
	}
}

// TestWhoeverIsInGoesOn verifies that failed logins with the name of a user do not affect the user's sessions.
func TestWhoeverIsInGoesOn(t *testing.T) {
	clients := pair(t)
	a := newActor(t, "")
	lock(t, a.Name, clients...)
	c := clients[1]
	c.Call(t, as(a.AccessToken, wire.Request{Path: wire.DirectPath + me})).Want(t, wire.OK)
	next := renewed(t, c.Call(t, refresh(t, a.RefreshToken)))
	c.Call(t, changePassword(t, next.AccessToken, a.Password, anotherPassword)).Want(t, wire.OK)
	c.Call(t, as(next.AccessToken, wire.Request{Path: wire.DirectPath + me})).Want(t, wire.OK)
	renewed(t, c.Call(t, refresh(t, next.RefreshToken)))
	// A change of the password does not end the lock, because an attacker could use the next guess.
	c.Call(t, fixture.LoginRequest(wire.DirectPath, a.Name, anotherPassword)).Want(t, wire.TooManyRequests)
}

// TestUnlock verifies that unlocking a user with kubectl takes effect immediately on every replica.
func TestUnlock(t *testing.T) {
	clients, u := pair(t), set().User(t, "unlocked")
	u.Login(t, clients[0], wire.DirectPath)
	for _, i := range []int{0, 1} {
		lock(t, u.Name, clients...)
		clients[i].Call(t, right(u)).Want(t, wire.TooManyRequests)
		lockedUntil(t, u, true)
		if _, stderr, err := kubectl(t, "", "delete", "kvlt", "user-"+u.Name); err != nil {
			t.Fatalf("%v: %s", err, stderr)
		}
		soon(t, clients[i], wire.OK, right(u))
		clients[1-i].Call(t, right(u)).Want(t, wire.OK)
		lockedUntil(t, u, false)
	}
}

// TestALockDiesWithItsUser verifies that the lock of a deleted user does not affect a new user with the same name.
func TestALockDiesWithItsUser(t *testing.T) {
	c, u := direct(t), set().User(t, "reborn")
	u.Login(t, c, wire.DirectPath)
	lock(t, u.Name, c)
	spec := u.Object.Spec
	set().Delete(t, u.Object)
	u = recreate(t, u, spec)
	set().UserReady(t, u)
	becomes(t, c, wire.OK, right(u))
}

// TestManagementWhileManyLogIn verifies that requests that hash a password do not fail with an internal error during
// many logins. They may fail with a code that asks for a retry.
func TestManagementWhileManyLogIn(t *testing.T) {
	const crowd = 150
	c, manager, victim := another(t), newActor(t, "admin"), newActor(t, "")
	forgiveAfterwards(t)
	var group sync.WaitGroup
	for range crowd {
		group.Go(func() {
			response, err := c.Do(t.Context(), wrong(fixture.Name("crowd")))
			if err != nil {
				t.Error(err)
				return
			}
			if e, err := response.Parse(); err != nil ||
				(e.Code != wire.Unauthenticated && e.Code != wire.TooManyRequests) {
				t.Errorf("a login: code %d (%s), %v", e.Code, e.Message, err)
			}
		})
	}
	requests := map[string]wire.Request{
		"reset":  management(t, manager.AccessToken, victim.Name)["reset-password"],
		"change": changePassword(t, manager.AccessToken, "wrong", anotherPassword),
		"setup":  as(manager.AccessToken, post(t, "/auth/2fa/setup", map[string]string{"password": "wrong"})),
	}
	for name, r := range requests {
		for range 3 {
			group.Go(func() {
				response, err := c.Do(t.Context(), r)
				if err != nil {
					t.Error(err)
					return
				}
				e, err := response.Parse()
				if err != nil || e.Code == wire.Internal {
					t.Errorf("%s: code %d (%s), %v", name, e.Code, e.Message, err)
				}
			})
		}
	}
	group.Wait()
}

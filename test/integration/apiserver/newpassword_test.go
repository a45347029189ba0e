// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestRefusedPasswordsAreNotHashed verifies that no password is hashed for callers who may not write it. Otherwise,
// they could delay the logins of others.
func TestRefusedPasswordsAreNotHashed(t *testing.T) {
	const ours, users = "kubevision.io", "kubevisionusers"
	c, operator, victim := direct(t), direct(t, admin()), set().User(t, "victim")
	for what, role := range map[string]string{
		"may only read users":    role(t, rule(ours, users, "get", "list")),
		"may not read Secrets":   role(t, rule(ours, users, "*")),
		"may not write Secrets":  role(t, rule(ours, users, "*"), rule("", "secrets", "get")),
		"may only write Secrets": role(t, rule(ours, users, "get"), rule("", "secrets", "*")),
		"may not bind viewers": role(t, rule(ours, users, "create", "get"), rule("", "secrets", "*"),
			rule(ours, "kubevisionrolebindings", "*")),
	} {
		t.Run(what, func(t *testing.T) {
			a := newActor(t, role)
			before := hashes(t, operator)
			c.Call(t, management(t, a.AccessToken, victim.Name)["reset-password"]).Want(t, wire.Forbidden)
			c.Call(t, as(a.AccessToken, post(t, "/users", fields{
				"username": fixture.Name("new"), "password": anotherPassword, "role": "viewer",
			}))).Want(t, wire.Forbidden)
			if n := hashes(t, operator) - before; n != 0 {
				t.Errorf("%d passwords were hashed", n)
			}
		})
	}
}

// TestNewPasswordsDoNotCloseTheLogin verifies that nine of ten logins succeed in time while two administrators send
// many requests to reset a password. The server must also accept at least one reset.
func TestNewPasswordsDoNotCloseTheLogin(t *testing.T) {
	const logins, least, clients = 10, 9, 48
	c := at(t, replicaWith(t).Endpoint())
	person, victim := set().User(t, "person"), set().User(t, "victim")
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	var accepted, busy atomic.Int32
	for _, manager := range []actor{newActor(t, "admin"), newActor(t, "admin")} {
		request := management(t, manager.AccessToken, victim.Name)["reset-password"]
		for range clients {
			group.Go(func() {
				for ctx.Err() == nil {
					response, err := c.Do(ctx, request)
					if err != nil {
						return
					}
					switch e, err := response.Parse(); {
					case err != nil:
						t.Errorf("a reset: %v", err)
					case e.Code == wire.TooManyRequests && e.Meta.RetryAfterSeconds > 0:
						busy.Add(1)
					case e.Code == wire.OK || e.Code == wire.Conflict || e.Code == wire.Stale:
						accepted.Add(1)
					default:
						t.Errorf("a reset: code %d (%s)", e.Code, e.Message)
					}
				}
			})
		}
	}
	time.Sleep(2 * time.Second)
	good := 0
	for try := 0; good < least && try < floodTries; try++ {
		good = loginsInTime(t, c, func(int) wire.Request { return right(person) }, logins)
	}
	if good < least {
		t.Errorf("%d of %d logins succeeded in %s, want %d", good, logins, inTime, least)
	}
	if accepted.Load() == 0 {
		t.Error("no reset was accepted")
	}
	t.Logf("resets: %d accepted, %d refused as too many", accepted.Load(), busy.Load())
}

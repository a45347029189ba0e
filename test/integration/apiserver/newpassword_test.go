// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestRefusedPasswordsAreNotHashed verifies that no password is hashed for callers who may not write it. Otherwise, they
// could delay the logins of others.
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

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// authManaging verifies when an administrator must send a second-factor code to change another user:
//
//   - An administrator without a second factor sends no code.
//   - An administrator with a second factor sends a code in each request.
//   - Alternatively, this administrator sends one code to /auth/2fa/reverify for several requests.
func authManaging(t *testing.T, d door) {
	s, v := target.set(), visit(t, d)
	s.HostCluster(t, target.Host)
	s.Bind(t, "conformance-managing", fixture.Grant{
		Role: "admin", Subjects: fixture.KubeVisionUsers(v.user), Cluster: target.Host,
	})
	other, namespace := s.User(t, "conformance-managed"), s.Namespace(t, "conformance-managed")
	placed := s.Bind(t, "conformance-managed", fixture.Grant{
		Role: "dev", Subjects: fixture.KubeVisionUsers(other), Cluster: target.Host, Namespaces: []string{namespace},
	})
	path := "/users/" + other.Name
	for _, role := range []string{"viewer", "admin", "custom"} {
		if e := v.own(wire.Conflict, put, path, body{"role": role}); !strings.Contains(e.Message, placed.Name) {
			t.Errorf("the message does not name the binding: %s", e.Message)
		}
	}
	var shown struct {
		Role string `json:"role"`
	}
	v.own(wire.OK, put, path, body{"role": "editor", "isActive": true}).Into(t, &shown)
	if shown.Role != "editor" {
		t.Errorf("the user is shown as %q", shown.Role)
	}

	const reverify = "/auth/2fa/reverify"
	v.own(wire.Conflict, post, reverify, body{"code": "123456"})
	made := v.enrol()
	e := v.own(wire.TwoFactorRequired, put, path, body{"displayName": "One"})
	for _, way := range []string{"X-KubeVision-TOTP", "totpCode", reverify} {
		if !strings.Contains(e.Message, way) {
			t.Errorf("the message does not name %s: %s", way, e.Message)
		}
	}
	v.own(wire.Required, post, reverify, body{})
	v.own(wire.TwoFactorFailed, post, reverify, body{"code": "000000"})
	v.own(wire.Invalid, put, path, body{"displayName": "One", "totpCode": 1})
	v.own(wire.OK, put, path, body{"displayName": "One", "totpCode": fixture.Code(t, made.Secret, 0)})
	v.own(wire.TwoFactorRequired, put, path, body{"displayName": "Two"})
	v.own(wire.OK, post, reverify, body{"code": fixture.Code(t, made.Secret, 1)})
	v.own(wire.OK, put, path, body{"displayName": "Two"})
	v.own(wire.OK, put, path, body{"displayName": "Three"})
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestRolesThatNeedASecondFactor verifies that a user with a role in --two-factor-roles has no access without a second
// factor. The role may be granted to the user or to a group, and in one namespace or in the whole cluster.
func TestRolesThatNeedASecondFactor(t *testing.T) {
	set().HostCluster(t, host)
	powerless, everybodys := role(t, rule("", "pods", "get")), role(t, rule("", "pods", "get"))
	c := at(t, replicaWith(t, "--two-factor-roles=admin,"+powerless+","+everybodys).Endpoint())
	team := fixture.Name("team")
	bind := func(role string, subjects []kubevisionv1alpha1.Subject, namespaces ...string) func(*testing.T) {
		return func(t *testing.T) {
			t.Helper()
			set().Bind(t, "policy", fixture.Grant{Role: role, Subjects: subjects, Cluster: host,
				Namespaces: namespaces})
		}
	}
	user := func() fixture.User {
		return set().User(t, "policy", func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.Groups = []string{team} })
	}
	unbound, named, placed, custom, dev := set().User(t, "policy"), user(), user(), user(), user()
	for name, tc := range map[string]struct {
		user fixture.User
		bind func(*testing.T)
		want int
	}{
		"no role":      {unbound, func(*testing.T) {}, wire.OK},
		"another role": {dev, bind("dev", fixture.KubeVisionUsers(dev)), wire.OK},
		"by name":      {named, bind("admin", fixture.KubeVisionUsers(named)), wire.TwoFactorRequired},
		"in one namespace": {placed, bind("admin", fixture.KubeVisionUsers(placed), "default"),
			wire.TwoFactorRequired},
		"a ClusterRole of one's own": {custom, bind(powerless, fixture.KubeVisionUsers(custom)),
			wire.TwoFactorRequired},
		"by group": {user(), bind(powerless, subject(kubevisionv1alpha1.SubjectKubeVisionGroup, team)),
			wire.TwoFactorRequired},
		"by the group of everybody": {set().User(t, "policy"),
			bind(everybodys, subject(kubevisionv1alpha1.SubjectGroup, "system:authenticated")), wire.TwoFactorRequired},
	} {
		t.Run(name, func(t *testing.T) {
			tc.user.Login(t, direct(t), wire.DirectPath) // the shared replica has no such policy
			l := tc.user.Login(t, c, wire.DirectPath)
			c.Call(t, whoami(l.AccessToken)).Want(t, wire.OK)
			tc.bind(t)
			if tc.want == wire.OK {
				c.Call(t, whoami(l.AccessToken)).Want(t, wire.OK)
				c.Call(t, right(tc.user)).Want(t, wire.OK)
				return
			}
			soon(t, c, wire.TwoFactorRequired, whoami(l.AccessToken))
			e := c.Call(t, right(tc.user)).Want(t, wire.TwoFactorRequired)
			limited := actor{User: tc.user}
			e.Into(t, &limited.Login)
			if !strings.Contains(string(e.Data), `"setupRequired":true`) || limited.AccessToken == "" {
				t.Fatalf("the response of the login is %s", e.Data)
			}
			again := c.Call(t, refresh(t, limited.RefreshToken)).Want(t, wire.TwoFactorRequired)
			again.Into(t, &limited.Login)
			for _, r := range []wire.Request{
				{Path: me}, {Path: clusterList}, {Path: me + "/sessions"}, {Path: onHost + "/resources/pods"},
				{Method: "PUT", Path: me + "/password",
					Body: `{"oldPassword":"` + tc.user.Password + `","newPassword":"` + anotherPassword + `"}`},
				{Method: "PUT", Path: "/users/" + tc.user.Name + "/reset-password",
					Body: `{"newPassword":"` + anotherPassword + `"}`},
				{Method: "POST", Path: "/users/" + tc.user.Name + "/revoke-sessions"},
			} {
				r.Path = wire.DirectPath + r.Path
				c.Call(t, as(limited.AccessToken, r)).Want(t, wire.TwoFactorRequired)
			}
			made := enrol(t, limited)
			c.Call(t, whoami(limited.AccessToken)).Want(t, wire.OK)
			c.Call(t, as(limited.AccessToken,
				post(t, "/auth/2fa/disable", map[string]string{"code": code(t, made.Secret, 0)}))).Want(t,
				wire.Conflict)
			// The rejected request has not marked the code as used.
			renewed(t, c.Call(t, verify(t, challenge(t, tc.user), code(t, made.Secret, 0))))
		})
	}
}

// TestASecondFactorThatWasTakenAway verifies that a session loses its access if the user removes the second factor and
// then gets a role that requires one.
func TestASecondFactorThatWasTakenAway(t *testing.T) {
	c := at(t, replicaWith(t, "--two-factor-roles=admin").Endpoint())
	a := newActor(t, "")
	made := enrol(t, a)
	a.Login = renewed(t, c.Call(t, verify(t, challenge(t, a.User), code(t, made.Secret, 0))))
	c.Call(t, as(a.AccessToken, post(t, "/auth/2fa/disable",
		map[string]string{"code": code(t, made.Secret, 1)}))).Want(t, wire.OK)
	set().Bind(t, "policy", fixture.Grant{Role: "admin", Subjects: fixture.KubeVisionUsers(a.User), Cluster: host})
	becomes(t, c, wire.TwoFactorRequired, right(a.User))
	c.Call(t, whoami(a.AccessToken)).Want(t, wire.TwoFactorRequired)
}

// TestBothAtOnce verifies that a user who must set up a second factor and change the password can do both. Afterwards,
// the user has full access.
func TestBothAtOnce(t *testing.T) {
	c := direct(t)
	u := set().User(t, "both", func(u *kubevisionv1alpha1.KubeVisionUser) {
		u.Spec.MustChangePassword, u.Spec.TwoFactor = true, kubevisionv1alpha1.TwoFactorRequired
	})
	a := actor{User: u}
	becomes(t, c, wire.TwoFactorRequired, right(u))
	c.Call(t, right(u)).Want(t, wire.TwoFactorRequired).Into(t, &a.Login)
	c.Call(t, as(a.AccessToken, wire.Request{Path: wire.DirectPath + clusterList})).Want(t, wire.TwoFactorRequired)
	enrol(t, a)
	c.Call(t, as(a.AccessToken, wire.Request{Path: wire.DirectPath + clusterList})).Want(t, wire.Conflict)
	c.Call(t, changePassword(t, a.AccessToken, u.Password, anotherPassword)).Want(t, wire.OK)
	c.Call(t, as(a.AccessToken, wire.Request{Path: wire.DirectPath + clusterList})).Want(t, wire.OK)
}

// TestBodiesHaveNoOtherFields verifies that a request is rejected and has no effect if its body has an unknown field.
func TestBodiesHaveNoOtherFields(t *testing.T) {
	c := direct(t)
	manager, a := newActor(t, "admin"), newActor(t, "")
	made := enrol(t, a)
	for name, tc := range map[string]struct {
		method, path, token string
		body                map[string]any
	}{
		"login":   {"POST", "/auth/login", "", map[string]any{"username": a.Name, "password": a.Password}},
		"refresh": {"POST", "/auth/refresh", "", map[string]any{"refreshToken": a.RefreshToken}},
		"verify":  {"POST", "/auth/2fa/verify", "", map[string]any{"sessionToken": "x", "code": "123456"}},
		"recovery": {"POST", "/auth/2fa/recovery", "",
			map[string]any{"sessionToken": "x", "recoveryCode": made.RecoveryCodes[0]}},
		"setup":   {"POST", "/auth/2fa/setup", a.AccessToken, map[string]any{"password": a.Password}},
		"enable":  {"POST", "/auth/2fa/enable", a.AccessToken, map[string]any{"code": "123456"}},
		"disable": {"POST", "/auth/2fa/disable", a.AccessToken, map[string]any{"code": code(t, made.Secret, 0)}},
		"recovery codes": {"POST", "/auth/2fa/recovery-codes", a.AccessToken,
			map[string]any{"code": code(t, made.Secret, 0)}},
		"password": {"PUT", me + "/password", a.AccessToken,
			map[string]any{"oldPassword": a.Password, "newPassword": anotherPassword}},
		"reset password": {"PUT", "/users/" + a.Name + "/reset-password", manager.AccessToken,
			map[string]any{"newPassword": anotherPassword}},
	} {
		for _, extra := range []string{
			"role", "groups", "uid", "id", "totpEnabled", "totp", "isActive", "disabled", "spec", "metadata", "user",
			"twoFactor", "passwordHash", "__proto__",
			strings.ToUpper(slices.Sorted(maps.Keys(tc.body))[0]),
		} {
			t.Run(name+" "+extra, func(t *testing.T) {
				body := maps.Clone(tc.body)
				body[extra] = "admin"
				raw, err := json.Marshal(body)
				if err != nil {
					t.Fatal(err)
				}
				e := c.Call(t, wire.Request{Method: tc.method, Path: wire.DirectPath + tc.path, Bearer: tc.token,
					Body: string(raw)}).Want(t, wire.Invalid)
				if e.Meta.Field != extra {
					t.Errorf("meta.field is %q", e.Meta.Field)
				}
			})
		}
	}
	c.Call(t, whoami(a.AccessToken)).Want(t, wire.OK)
	renewed(t, c.Call(t, verify(t, challenge(t, a.User), code(t, made.Secret, 0))))
	renewed(t, c.Call(t, refresh(t, a.RefreshToken)))
}

func TestNobodyPromotesThemselves(t *testing.T) {
	c, a := direct(t), newActor(t, "dev")
	before, credentials := currentSpec(t, a), storedCredentials(t, a.User).ResourceVersion
	body := `{"role":"admin","groups":["admins"],"uid":"x","totpEnabled":true,"spec":{"groups":["admins"],` +
		`"twoFactor":"Optional"},"isActive":true}`
	for _, path := range []string{me, "/users/" + a.Name, "/users", "/role-bindings", "/sessions"} {
		for _, method := range []string{"PUT", "POST", "PATCH"} {
			for _, base := range []string{wire.DirectPath, wire.GroupPath} {
				e := c.Call(t, as(a.AccessToken, wire.Request{Method: method, Path: base + path, Body: body}))
				if !slices.Contains([]int{wire.Forbidden, wire.NotFound, wire.Invalid}, e.Code) {
					t.Errorf("%s %s: code %d (%s)", method, path, e.Code, e.Message)
				}
			}
		}
	}
	for name, r := range management(t, a.AccessToken, "admin") { // admin is the first administrator
		if e := c.Call(t, r); e.Code != wire.Forbidden {
			t.Errorf("%s of the first administrator: code %d (%s)", name, e.Code, e.Message)
		}
	}
	// The old password is required even with the caller's own name.
	for name, r := range management(t, a.AccessToken, a.Name) {
		if e := c.Call(t, r); e.Code != wire.Forbidden {
			t.Errorf("%s of oneself: code %d (%s)", name, e.Code, e.Message)
		}
	}
	if after := currentSpec(t, a); after != before || storedCredentials(t, a.User).ResourceVersion != credentials {
		t.Errorf("it was %s and is %s", before, after)
	}
	var data struct {
		Role   string   `json:"role"`
		Groups []string `json:"groups"`
	}
	c.Call(t, whoami(a.AccessToken)).Want(t, wire.OK).Into(t, &data)
	if data.Role != "editor" || len(data.Groups) > 0 {
		t.Errorf("the user is now %+v", data)
	}
}

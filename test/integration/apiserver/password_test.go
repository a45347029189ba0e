// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	// anotherPassword and aThirdPassword are strong passwords.
	anotherPassword = "lamp orbit walnut seldom"
	aThirdPassword  = "tundra velvet quaver fig"
)

func put(tb testing.TB, path string, body any) wire.Request {
	tb.Helper()
	r := post(tb, path, body)
	r.Method = "PUT"
	return r
}

func changePassword(tb testing.TB, token, old, replacement string) wire.Request {
	tb.Helper()
	return as(token, put(tb, me+"/password", map[string]string{"oldPassword": old, "newPassword": replacement}))
}

func whoami(token string) wire.Request {
	return as(token, wire.Request{Path: wire.DirectPath + me})
}

// dead fails the test unless a session ends on every replica within the time limit of a revocation.
func dead(t *testing.T, l fixture.Login, clients ...*wire.Client) {
	t.Helper()
	for _, c := range clients {
		soon(t, c, wire.TokenExpired, whoami(l.AccessToken))
		soon(t, c, wire.Unauthenticated, refresh(t, l.RefreshToken))
	}
}

func storedCredentials(tb testing.TB, u fixture.User) *corev1.Secret {
	tb.Helper()
	secret := &corev1.Secret{}
	if err := env.Client.Get(tb.Context(),
		client.ObjectKey{Namespace: system, Name: "kubevision-credentials-" + u.Name}, secret); err != nil {
		tb.Fatal(err)
	}
	return secret
}

func TestChangePassword(t *testing.T) {
	clients := pair(t)
	c := clients[0]
	a := newActor(t, "")
	other := a.User.Login(t, c, wire.DirectPath)
	for name, tc := range map[string]struct {
		body  any
		want  int
		field string
	}{
		"no old one": {map[string]string{"newPassword": anotherPassword}, wire.Required, "oldPassword"},
		"no new one": {map[string]string{"oldPassword": a.Password}, wire.Required, "newPassword"},
		"an empty one": {map[string]string{"oldPassword": a.Password, "newPassword": ""}, wire.Required,
			"newPassword"},
		"nothing": {map[string]string{}, wire.Required, "oldPassword"},
		"a short one": {map[string]string{"oldPassword": a.Password, "newPassword": "kU9fQ2mXz7L"},
			wire.Invalid, "newPassword"},
		"a guessable one": {map[string]string{"oldPassword": a.Password, "newPassword": "kubevision2026"},
			wire.Invalid, "newPassword"},
		"one with their name": {map[string]string{"oldPassword": a.Password, "newPassword": a.Name + "1"},
			wire.Invalid, "newPassword"},
		"a long one": {map[string]string{"oldPassword": a.Password,
			"newPassword": strings.Repeat(anotherPassword, 50)}, wire.Invalid, "newPassword"},
		"the same": {map[string]string{"oldPassword": a.Password, "newPassword": a.Password}, wire.Invalid,
			"newPassword"},
		"a wrong old one": {map[string]string{"oldPassword": "wrong", "newPassword": anotherPassword},
			wire.Unauthenticated, ""},
		"numbers": {map[string]int{"oldPassword": 1, "newPassword": 2}, wire.Invalid, "newPassword"},
		"another user's name": {map[string]string{"oldPassword": a.Password, "newPassword": anotherPassword,
			"username": "admin"}, wire.Invalid, "username"},
	} {
		t.Run(name, func(t *testing.T) {
			e := c.Call(t, as(a.AccessToken, put(t, me+"/password", tc.body))).Want(t, tc.want)
			if e.Meta.Field != tc.field {
				t.Errorf("meta.field is %q, want %q", e.Meta.Field, tc.field)
			}
		})
	}
	c.Call(t, changePassword(t, "", a.Password, anotherPassword)).Want(t, wire.Unauthenticated)
	for _, l := range []fixture.Login{a.Login, other} { // both sessions are still valid
		c.Call(t, whoami(l.AccessToken)).Want(t, wire.OK)
	}

	c.Call(t, changePassword(t, a.AccessToken, a.Password, anotherPassword)).Want(t, wire.OK)
	dead(t, other, clients...)
	for _, replica := range clients {
		replica.Call(t, right(a.User)).Want(t, wire.Unauthenticated)
		replica.Call(t, whoami(a.AccessToken)).Want(t, wire.OK)
		a.Login = renewed(t, replica.Call(t, refresh(t, a.RefreshToken)))
		renewed(t, replica.Call(t, fixture.LoginRequest(wire.DirectPath, a.Name, anotherPassword)))
	}
	set().UserReady(t, a.User) // the Secret with the first password does not restore the first password
	c.Call(t, changePassword(t, a.AccessToken, anotherPassword, aThirdPassword)).Want(t, wire.OK)
	c.Call(t, fixture.LoginRequest(wire.DirectPath, a.Name, aThirdPassword)).Want(t, wire.OK)
}

// TestAChallengeDiesWithItsPassword verifies that a change of the password invalidates a login that waits for a second
// factor.
func TestAChallengeDiesWithItsPassword(t *testing.T) {
	c, a := direct(t), newActor(t, "")
	made := enrol(t, a)
	token := challenge(t, a.User)
	c.Call(t, changePassword(t, a.AccessToken, a.Password, anotherPassword)).Want(t, wire.OK)
	c.Call(t, verify(t, token, code(t, made.Secret, 0))).Want(t, twoFactorFailed)
	c.Call(t, recovery(t, token, made.RecoveryCodes[0])).Want(t, twoFactorFailed)
	a.User.Password = anotherPassword
	renewed(t, c.Call(t, verify(t, challenge(t, a.User), code(t, made.Secret, 0))))
}

// TestWrongOldPasswords verifies that wrong old passwords are counted for each session and do not affect other
// sessions.
func TestWrongOldPasswords(t *testing.T) {
	clients := pair(t)
	a := newActor(t, "")
	other := a.User.Login(t, clients[0], wire.DirectPath)
	for i := range freeFailures {
		clients[i%2].Call(t, changePassword(t, a.AccessToken, "wrong", anotherPassword)).Want(t, wire.Unauthenticated)
	}
	for _, c := range clients {
		for _, token := range []string{a.AccessToken, renewed(t, c.Call(t, refresh(t, a.RefreshToken))).AccessToken} {
			e := c.Call(t, changePassword(t, token, a.Password, anotherPassword)).Want(t, wire.TooManyRequests)
			if s := e.Meta.RetryAfterSeconds; s < 10 || s > 30 {
				t.Errorf("retryAfterSeconds is %d", s)
			}
		}
		c.Call(t, right(a.User)).Want(t, wire.OK)
	}
	lockedUntil(t, a.User, false)
	clients[1].Call(t, changePassword(t, other.AccessToken, a.Password, anotherPassword)).Want(t, wire.OK)
}

// TestMustChangePassword verifies that the session of a user who must change the password is restricted to this change.
func TestMustChangePassword(t *testing.T) {
	clients := pair(t)
	u := set().User(t, "fresh", func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.MustChangePassword = true })
	a := actor{User: u, Login: u.Login(t, clients[0], wire.DirectPath)}
	wantRequired := func(e wire.Envelope, code int) {
		t.Helper()
		var data struct {
			PasswordChangeRequired bool `json:"passwordChangeRequired"`
		}
		e.Want(t, code).Into(t, &data)
		if !data.PasswordChangeRequired || (code != wire.OK && !strings.Contains(e.Message, "change your password")) {
			t.Errorf("the message contains no reason: %s", e.Raw)
		}
	}
	wantRequired(clients[0].Call(t, right(u)), wire.OK)
	e := clients[1].Call(t, refresh(t, a.RefreshToken))
	wantRequired(e, wire.OK)
	a.Login = renewed(t, e)
	for _, c := range clients {
		for _, r := range []wire.Request{
			{Path: clusterList}, {Path: onHost + "/resources/pods"}, {Path: me + "/sessions"},
			{Method: "DELETE", Path: me + "/sessions/x"},
			{Method: "POST", Path: "/auth/2fa/disable", Body: `{"code":"123456"}`},
			{Method: "POST", Path: "/auth/2fa/recovery-codes", Body: `{"code":"123456"}`},
			{Method: "PUT", Path: "/users/" + u.Name + "/reset-password",
				Body: `{"newPassword":"` + anotherPassword + `"}`},
			{Method: "POST", Path: "/users/" + u.Name + "/reset-2fa"},
			{Method: "POST", Path: "/users/" + u.Name + "/revoke-sessions"},
			{Method: "PUT", Path: me + "/password/", Body: `{}`},
		} {
			for _, base := range []string{wire.DirectPath, wire.GroupPath} {
				r := r
				r.Path = base + r.Path
				if e := c.Call(t, as(a.AccessToken, r)); !strings.HasSuffix(r.Path, "/") || e.Code == wire.Conflict {
					wantRequired(e, wire.Conflict)
				}
			}
		}
		c.Call(t, whoami(a.AccessToken)).Want(t, wire.OK)
	}
	c := clients[1]
	c.Call(t, as(a.AccessToken, post(t, "/auth/2fa/setup", map[string]string{}))).Want(t, wire.OK)
	c.Call(t, changePassword(t, a.AccessToken, u.Password, u.Password)).Want(t, wire.Invalid)
	wantRequired(c.Call(t, as(a.AccessToken, wire.Request{Path: wire.DirectPath + clusterList})), wire.Conflict)
	c.Call(t, changePassword(t, a.AccessToken, u.Password, anotherPassword)).Want(t, wire.OK)
	for _, c := range clients { // immediately
		c.Call(t, as(a.AccessToken, wire.Request{Path: wire.DirectPath + clusterList})).Want(t, wire.OK)
		var data map[string]any
		c.Call(t, fixture.LoginRequest(wire.DirectPath, u.Name, anotherPassword)).Want(t, wire.OK).Into(t, &data)
		if data["passwordChangeRequired"] == true {
			t.Error("the user has chosen a password, and is required to choose another")
		}
	}
	replacePasswordInSecret(t, u, aThirdPassword) // the user has not chosen this password
	wantRequired(c.Call(t, fixture.LoginRequest(wire.DirectPath, u.Name, aThirdPassword)), wire.OK)
}

// TestAnOutdatedHash verifies that the next login replaces an outdated hash, without other effects.
func TestAnOutdatedHash(t *testing.T) {
	c, u := direct(t), set().User(t, "outdated")
	salt := []byte(rand.Text()[:16])
	hash := fmt.Sprintf("$argon2id$v=19$m=8192,t=1,p=1$%s$%s", base64.RawStdEncoding.EncodeToString(salt),
		base64.RawStdEncoding.EncodeToString(argon2.IDKey([]byte(anotherPassword), salt, 1, 8192, 1, 32)))
	replacePasswordInSecret(t, u, hash)
	c.Call(t, wrong(u.Name)).Want(t, wire.Unauthenticated)
	if got := string(storedCredentials(t, u).Data["passwordHash"]); got != hash {
		t.Errorf("a wrong password has replaced the hash: %.40s", got)
	}
	first := renewed(t, c.Call(t, fixture.LoginRequest(wire.DirectPath, u.Name, anotherPassword)))
	upgraded := string(storedCredentials(t, u).Data["passwordHash"])
	if !strings.HasPrefix(upgraded, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("after a login the hash is %.40s", upgraded)
	}
	second := renewed(t, c.Call(t, fixture.LoginRequest(wire.DirectPath, u.Name, anotherPassword)))
	for _, l := range []fixture.Login{first, second} {
		c.Call(t, whoami(l.AccessToken)).Want(t, wire.OK)
		renewed(t, c.Call(t, refresh(t, l.RefreshToken)))
	}
	if again := string(storedCredentials(t, u).Data["passwordHash"]); again != upgraded {
		t.Errorf("the hash was replaced once more: %.40s", again)
	}
	if text, err := json.Marshal(u.Object); err != nil || strings.Contains(string(text), "argon2") {
		t.Errorf("%v, %s", err, text)
	}
}

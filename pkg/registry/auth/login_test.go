// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/controlplane"
)

func TestRejectedBodies(t *testing.T) {
	s := newServer(t)
	v := s.visit(t)
	const own = true
	for name, tc := range map[string]struct {
		own    bool
		method string
		path   string
		body   any
		code   int
		field  string
	}{
		"login without a body":     {false, post, "/auth/login", nil, wire.Required, "body"},
		"login without a name":     {false, post, "/auth/login", fields{"password": "x"}, wire.Required, "username"},
		"login without a password": {false, post, "/auth/login", fields{"username": "x"}, wire.Required, "password"},
		"login with another provider": {false, post, "/auth/login",
			fields{"username": "x", "password": "x", "provider": "ldap"}, wire.Invalid, "provider"},
		"login with an unknown field": {false, post, "/auth/login",
			fields{"username": "x", "password": "x", "role": "admin"}, wire.Invalid, "role"},
		"login with a number": {false, post, "/auth/login", `{"username":1,"password":"x"}`, wire.Invalid, "username"},
		"login with a field twice": {false, post, "/auth/login", `{"username":"x","username":"y","password":"x"}`,
			wire.Invalid, "username"},
		"refresh without a token": {false, post, "/auth/refresh", fields{}, wire.Required, "refreshToken"},
		"refresh with a number": {false, post, "/auth/refresh", fields{"refreshToken": 1}, wire.Invalid,
			"refreshToken"},
		"verification without a token": {false, post, "/auth/2fa/verify", fields{"code": "123456"}, wire.Required,
			"sessionToken"},
		"verification without a code": {false, post, "/auth/2fa/verify", fields{"sessionToken": "x"}, wire.Required,
			"code"},
		"recovery without a token": {false, post, "/auth/2fa/recovery", fields{"recoveryCode": "x"}, wire.Required,
			"sessionToken"},
		"recovery without a code": {false, post, "/auth/2fa/recovery", fields{"tempToken": "x"}, wire.Required,
			"recoveryCode"},
		"set-up with a secret":     {own, post, "/auth/2fa/setup", fields{"secret": "mine"}, wire.Invalid, "secret"},
		"enabling without a code":  {own, post, "/auth/2fa/enable", fields{}, wire.Required, "code"},
		"disabling without a code": {own, post, "/auth/2fa/disable", fields{}, wire.Required, "code"},
		"reverifying without code": {own, post, "/auth/2fa/reverify", fields{}, wire.Required, "code"},
		"renewal without a code":   {own, post, "/auth/2fa/recovery-codes", fields{"code": ""}, wire.Required, "code"},
		"password without old one": {own, put, "/users/me/password", fields{"newPassword": "x"}, wire.Required,
			"oldPassword"},
		"password without new one": {own, put, "/users/me/password", fields{"oldPassword": "x"}, wire.Required,
			"newPassword"},
		"password of another user": {own, put, "/users/me/password", fields{"username": "x"}, wire.Invalid,
			"username"},
	} {
		t.Run(name, func(t *testing.T) {
			var answer wire.Envelope
			if tc.own {
				answer = v.own(t, tc.method, tc.path, tc.body)
			} else {
				answer = s.Call(t, nil, tc.method, tc.path, tc.body)
			}
			if answer.Want(t, tc.code).Meta.Field != tc.field {
				t.Errorf("meta.field is %q, want %q (%s)", answer.Meta.Field, tc.field, answer.Message)
			}
		})
	}
}

func TestLogin(t *testing.T) {
	s := newServer(t)
	u := s.User(t, "visitor")
	for name, body := range map[string]fields{
		"name":                {"username": u.Name, "password": u.Password},
		"name in upper case":  {"username": strings.ToUpper(u.Name), "password": u.Password},
		"name and a provider": {"username": u.Name, "password": u.Password, "provider": "local"},
	} {
		t.Run(name, func(t *testing.T) {
			v := &visitor{server: s, user: u}
			answer := s.public(t, "/auth/login", body).Want(t, wire.OK)
			answer.Into(t, &v.login)
			if v.login.ExpiresIn != int64(accessTokenTTL.Seconds()) || v.login.RefreshToken == "" ||
				!strings.Contains(string(v.login.User), `"username":"`+u.Name+`"`) {
				t.Errorf("the response lacks a field: %s", answer.Data)
			}
			if strings.Contains(string(answer.Raw), u.Password) {
				t.Error("the response contains the password")
			}
			if p := v.principal(t); p.User.Name != u.Name || p.SetupRequired || p.PasswordChangeRequired {
				t.Errorf("the token authenticates %+v", p)
			}
		})
	}
}

// TestFailedLoginsAreEqual verifies that the response to a failed login does not depend on the reason.
func TestFailedLoginsAreEqual(t *testing.T) {
	s := newServer(t)
	u := s.User(t, "visitor")
	disabled := s.User(t, "disabled", func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.Disabled = true })
	noPassword := s.User(t, "no-password", func(u *kubevisionv1alpha1.KubeVisionUser) {
		u.Spec.PasswordSecretRef = nil
	})
	want := string(s.public(t, "/auth/login", fields{"username": u.Name, "password": "wrong"}).
		Want(t, wire.Unauthenticated).Raw)
	for name, body := range map[string]fields{
		"unknown user":           {"username": fixture.Name("unknown"), "password": u.Password},
		"email address":          {"username": u.Name + "@example.com", "password": u.Password},
		"user without password":  {"username": noPassword.Name, "password": "wrong"},
		"disabled user":          {"username": disabled.Name, "password": disabled.Password},
		"disabled user, wrongly": {"username": disabled.Name, "password": "wrong"},
		"blank after password":   {"username": u.Name, "password": u.Password + " "},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(s.public(t, "/auth/login", body).Raw); got != want {
				t.Errorf("the response is %s, a wrong password results in %s", got, want)
			}
		})
	}
}

// TestBlockedLogins verifies that too many failed logins block further logins with the same name. The limit is the same
// for existing users and unknown names. Existing sessions of a blocked user continue.
func TestBlockedLogins(t *testing.T) {
	s := newServer(t)
	v := s.visit(t)
	for name, body := range map[string]fields{
		"known name":   {"username": v.user.Name, "password": "wrong"},
		"unknown name": {"username": fixture.Name("unknown"), "password": "wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			for range 5 {
				s.public(t, "/auth/login", body).Want(t, wire.Unauthenticated)
			}
			answer := s.public(t, "/auth/login", body).Want(t, wire.TooManyRequests)
			if answer.Meta.RetryAfterSeconds < 1 {
				t.Errorf("the response has no retryAfterSeconds: %s", answer.Raw)
			}
		})
	}
	s.public(t, "/auth/login", v.credential()).Want(t, wire.TooManyRequests)
	s.public(t, "/auth/refresh", fields{"refreshToken": v.login.RefreshToken}).Want(t, wire.OK)
}

// TestRefresh verifies that a refresh token is valid once, and that the use of an old token ends the session.
func TestRefresh(t *testing.T) {
	s := newServer(t)
	v := s.visit(t)
	first := v.login
	refresh := func(token string) wire.Envelope {
		return s.public(t, "/auth/refresh", fields{"refreshToken": token})
	}
	for name, token := range map[string]string{
		"rubbish": "rubbish", "access token": first.AccessToken, "changed token": first.RefreshToken + "x",
	} {
		if refresh(token).Code != wire.Unauthenticated {
			t.Errorf("a %s renews the session", name)
		}
	}
	var second, again, third fixture.Login
	refresh(first.RefreshToken).Want(t, wire.OK).Into(t, &second)
	refresh(first.RefreshToken).Want(t, wire.OK).Into(t, &again) // another tab of the browser
	if second.RefreshToken == first.RefreshToken || second.RefreshToken != again.RefreshToken {
		t.Error("a renewal returns the same token, or two renewals return different tokens")
	}
	refresh(second.RefreshToken).Want(t, wire.OK).Into(t, &third)
	v.login = third
	v.principal(t)
	refresh(first.RefreshToken).Want(t, wire.Unauthenticated)
	refresh(third.RefreshToken).Want(t, wire.Unauthenticated)
	v.wantEnded(t)
}

func (v *visitor) wantEnded(t *testing.T) {
	t.Helper()
	_, err := v.tokens.Authenticate(t.Context(), v.login.AccessToken)
	if !errors.Is(err, authentication.ErrSessionEnded) {
		t.Errorf("the access token of an ended session: %v", err)
	}
}

func TestExpiredSession(t *testing.T) {
	s := newServer(t)
	v := s.visit(t)
	session := &kubevisionv1alpha1.KubeVisionSession{}
	session.Name = v.principal(t).Session
	controlplane.Change(t, s.Client, session, func(k *kubevisionv1alpha1.KubeVisionSession) {
		k.Spec.ExpirationTime = metav1.NewTime(time.Now().Add(-time.Second))
	})
	// The controller deletes expired sessions.
	answer := s.public(t, "/auth/refresh", fields{"refreshToken": v.login.RefreshToken})
	if answer.Code != wire.TokenExpired && answer.Code != wire.Unauthenticated {
		t.Errorf("code %d (%s)", answer.Code, answer.Message)
	}
	v.wantEnded(t)
}

// TestLogout verifies that a logout ends the session of the request, and no other session.
func TestLogout(t *testing.T) {
	s := newServer(t)
	v := s.visit(t)
	other := &visitor{server: s, user: v.user}
	s.public(t, "/auth/login", v.credential()).Want(t, wire.OK).Into(t, &other.login)
	v.own(t, post, "/auth/logout", nil).Want(t, wire.OK)
	v.wantEnded(t)
	s.public(t, "/auth/refresh", fields{"refreshToken": v.login.RefreshToken}).Want(t, wire.Unauthenticated)
	other.principal(t)
	s.public(t, "/auth/refresh", fields{"refreshToken": other.login.RefreshToken}).Want(t, wire.OK)
	s.Call(t, kubernetesUser(), post, "/auth/logout", nil).Want(t, wire.OK)
}

// TestPasswordChange verifies which passwords are accepted, and that a change ends the other sessions.
func TestPasswordChange(t *testing.T) {
	const replacement = "four unrelated words here"
	s := newServer(t)
	v := s.visit(t)
	other := &visitor{server: s, user: v.user}
	s.public(t, "/auth/login", v.credential()).Want(t, wire.OK).Into(t, &other.login)
	change := func(old, replacement string) wire.Envelope {
		return v.own(t, put, "/users/me/password", fields{"oldPassword": old, "newPassword": replacement})
	}
	change("wrong", replacement).Want(t, wire.Unauthenticated)
	for name, rejected := range map[string]string{"weak": "password1234", "same": v.user.Password} {
		if answer := change(v.user.Password, rejected).Want(t, wire.Invalid); answer.Meta.Field != "newPassword" ||
			strings.Contains(string(answer.Raw), rejected) {
			t.Errorf("the response to a %s password is %s", name, answer.Raw)
		}
	}
	other.principal(t)
	change(v.user.Password, replacement).Want(t, wire.OK)
	v.principal(t)
	other.wantEnded(t)
	s.public(t, "/auth/refresh", fields{"refreshToken": v.login.RefreshToken}).Want(t, wire.OK)
	s.public(t, "/auth/login", v.credential()).Want(t, wire.Unauthenticated)
	v.user.Password = replacement
	s.public(t, "/auth/login", v.credential()).Want(t, wire.OK)
}

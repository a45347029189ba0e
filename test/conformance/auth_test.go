// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"net/http"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	post = http.MethodPost
	put  = http.MethodPut
	read = http.MethodGet
)

// TestAuth verifies the response codes of the authentication endpoints. It sends the requests directly and through
// kube-apiserver.
func TestAuth(t *testing.T) {
	c := newCast(t)
	t.Cleanup(func() { results.done(t) })
	for _, d := range doors(t, c) {
		t.Run(d.name, func(t *testing.T) {
			if target.Started {
				t.Parallel() // The tests spend most of their time waiting for codes.
			} else {
				target.forgive(t) // otherwise, the throttle would block the address after so many wrong passwords
			}
			for name, part := range map[string]func(*testing.T, door){
				"login": authLogin, "refresh": authRefresh, "sessions": authSessions, "set-up": authSetup,
				"codes":   authCodes,
				"disable": authDisable, "password": authPassword, "managing": authManaging,
			} {
				t.Run(name, func(t *testing.T) { part(t, d) })
			}
		})
	}
}

func authLogin(t *testing.T, d door) {
	v := visit(t, d)
	v.post(wire.Required, "/auth/login", body{"username": v.user.Name})
	v.post(wire.Invalid, "/auth/login", body{"username": v.user.Name, "password": "x", "role": "admin"})
	v.own(wire.OK, read, "/users/me", nil)
	v.call(wire.TokenExpired, v.aged(v.login.AccessToken), read, "/users/me", nil)
	for range 5 {
		v.post(wire.Unauthenticated, "/auth/login", body{"username": v.user.Name, "password": "wrong"})
	}
	e := v.post(wire.TooManyRequests, "/auth/login", body{"username": v.user.Name, "password": v.user.Password})
	if e.Meta.RetryAfterSeconds < 1 {
		t.Errorf("the response has no retryAfterSeconds: %s", e.Raw)
	}
	v.own(wire.OK, read, "/users/me", nil)

	required := visitRequired(t, d)
	required.own(wire.TwoFactorRequired, read, "/users/me", nil)
	required.enrol()
	required.own(wire.OK, read, "/users/me", nil)
	required.own(wire.Conflict, post, "/auth/2fa/disable", body{"code": "123456"})
}

func visitRequired(t *testing.T, d door) *visitor {
	t.Helper()
	v := visit(t, d)
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"twoFactor":"Required"}}`))
	if err := target.Admin.Patch(t.Context(), v.user.Object, patch); err != nil {
		t.Fatal(err)
	}
	fixture.Eventually(t, "wait until the server knows that a second factor is required", setupRequired(v))
	return v
}

func authRefresh(t *testing.T, d door) {
	v := visit(t, d)
	v.post(wire.Required, "/auth/refresh", body{})
	v.post(wire.Invalid, "/auth/refresh", body{"refreshToken": 1})
	v.post(wire.Unauthenticated, "/auth/refresh", body{"refreshToken": "rubbish"})
	v.post(wire.Unauthenticated, "/auth/refresh", body{"refreshToken": v.login.AccessToken})
	v.post(wire.OK, "/auth/refresh", body{"refreshToken": v.login.RefreshToken}).Into(t, &v.login)
	v.own(wire.OK, read, "/users/me", nil)
	v.expire()
	v.post(wire.TokenExpired, "/auth/refresh", body{"refreshToken": v.login.RefreshToken})
}

func authSessions(t *testing.T, d door) {
	v := visit(t, d)
	other := *v
	other.login = v.user.Login(t, v.client, d.base)
	v.own(wire.OK, read, "/users/me/sessions", nil)
	v.own(wire.NotFound, http.MethodDelete, "/users/me/sessions/01arz3ndektsv4rrffq69g5fav", nil)
	v.own(wire.Invalid, http.MethodDelete, "/users/me/sessions/No_Name", nil)
	v.own(wire.OK, http.MethodDelete, "/users/me/sessions/"+fixture.Take(t, other.login.AccessToken).Session(), nil)
	fixture.Eventually(t, "wait until the other session has ended", ended(&other))
	v.post(wire.Unauthenticated, "/auth/refresh", body{"refreshToken": other.login.RefreshToken})
	v.own(wire.OK, post, "/auth/logout", nil)
	fixture.Eventually(t, "wait until the session has ended", ended(v))
	v.own(wire.TokenExpired, post, "/auth/logout", nil)
	v.post(wire.Unauthenticated, "/auth/refresh", body{"refreshToken": v.login.RefreshToken})
}

func authSetup(t *testing.T, d door) {
	v := visit(t, d)
	v.own(wire.Conflict, post, "/auth/2fa/enable", body{"code": "123456"})
	v.own(wire.Conflict, post, "/auth/2fa/recovery-codes", body{"code": "123456"})
	v.own(wire.Conflict, post, "/auth/2fa/disable", body{"code": "123456"})
	v.own(wire.Invalid, post, "/auth/2fa/setup", body{"secret": "mine"})
	var made enrolment
	v.own(wire.OK, post, "/auth/2fa/setup", nil).Into(t, &made)
	v.own(wire.Required, post, "/auth/2fa/enable", body{})
	v.own(wire.TwoFactorFailed, post, "/auth/2fa/enable", body{"code": "000000"})
	v.own(wire.OK, post, "/auth/2fa/enable", body{"code": fixture.Code(t, made.Secret, 0)})
	v.own(wire.TwoFactorRequired, post, "/auth/2fa/setup", nil)
	v.own(wire.TwoFactorFailed, post, "/auth/2fa/setup", body{"password": "wrong"})
	v.own(wire.OK, post, "/auth/2fa/setup", body{"password": v.user.Password})
	v.call(wire.TokenExpired, v.aged(v.login.AccessToken), post, "/auth/2fa/setup", nil)
}

func authCodes(t *testing.T, d door) {
	v := visit(t, d)
	made := v.enrol()
	token := v.challenge()
	for _, way := range []struct{ path, field string }{{"/auth/2fa/verify", "code"},
		{"/auth/2fa/recovery", "recoveryCode"}} {
		v.post(wire.Required, way.path, body{way.field: "123456"})
		v.post(wire.Required, way.path, body{"sessionToken": token})
		v.post(wire.Unauthenticated, way.path, body{"sessionToken": "rubbish", way.field: "123456"})
		v.post(wire.Unauthenticated, way.path, body{"sessionToken": v.login.AccessToken, way.field: "123456"})
		v.post(wire.TokenExpired, way.path, body{"sessionToken": v.aged(token), way.field: "123456"})
		v.post(wire.TwoFactorFailed, way.path, body{"tempToken": token, way.field: "000000"})
	}
	v.call(wire.Unauthenticated, token, read, "/users/me", nil)
	v.post(wire.OK, "/auth/2fa/verify", body{"tempToken": token, "code": fixture.Code(t, made.Secret, 0)}).Into(t,
		&v.login)
	v.own(wire.OK, read, "/users/me", nil)
	v.own(wire.Required, post, "/auth/2fa/recovery-codes", body{})
	v.own(wire.TwoFactorFailed, post, "/auth/2fa/recovery-codes", body{"code": "000000"})
	v.post(wire.OK, "/auth/2fa/recovery",
		body{"sessionToken": v.challenge(), "code": made.RecoveryCodes[0]}).Into(t, &v.login)
	v.post(wire.TwoFactorFailed, "/auth/2fa/recovery",
		body{"sessionToken": v.challenge(), "recoveryCode": made.RecoveryCodes[0]})
	v.own(wire.OK, post, "/auth/2fa/recovery-codes", body{"code": fixture.Code(t, made.Secret, 1)}).Into(t, &made)
	v.post(wire.OK, "/auth/2fa/recovery", body{"sessionToken": v.challenge(), "recoveryCode": made.RecoveryCodes[9]})
}

func authDisable(t *testing.T, d door) {
	v := visit(t, d)
	made := v.enrol()
	v.own(wire.Required, post, "/auth/2fa/disable", body{})
	v.own(wire.TwoFactorFailed, post, "/auth/2fa/disable", body{"code": "000000"})
	v.own(wire.OK, post, "/auth/2fa/disable", body{"code": fixture.Code(t, made.Secret, 0)})
	v.post(wire.OK, "/auth/login", body{"username": v.user.Name, "password": v.user.Password})
}

func authPassword(t *testing.T, d door) {
	const replacement = "four unrelated words here"
	v := visit(t, d)
	v.own(wire.Required, put, "/users/me/password", body{"newPassword": replacement})
	v.own(wire.Required, put, "/users/me/password", body{"oldPassword": v.user.Password})
	v.own(wire.Invalid, put, "/users/me/password", body{"oldPassword": v.user.Password, "newPassword": "password1234"})
	v.own(wire.Unauthenticated, put, "/users/me/password", body{"oldPassword": "wrong", "newPassword": replacement})
	v.own(wire.OK, put, "/users/me/password", body{"oldPassword": v.user.Password, "newPassword": replacement})
	v.own(wire.OK, read, "/users/me", nil)
	v.post(wire.Unauthenticated, "/auth/login", body{"username": v.user.Name, "password": v.user.Password})
	v.post(wire.OK, "/auth/login", body{"username": v.user.Name, "password": replacement})
	for range 5 {
		v.own(wire.Unauthenticated, put, "/users/me/password",
			body{"oldPassword": "wrong", "newPassword": replacement + "!"})
	}
	v.own(wire.TooManyRequests, put, "/users/me/password",
		body{"oldPassword": replacement, "newPassword": replacement + "!"})
	v.call(wire.TokenExpired, v.aged(v.login.AccessToken), put, "/users/me/password", nil)
}

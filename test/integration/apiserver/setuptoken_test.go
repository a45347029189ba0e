// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

type setupLogin struct {
	fixture.Login

	TempToken     string `json:"tempToken"`
	SetupRequired bool   `json:"setupRequired"`
}

func newSetupLogin(t *testing.T) (fixture.User, setupLogin) {
	t.Helper()
	u := set().User(t, "waiting", func(u *kubevisionv1alpha1.KubeVisionUser) {
		u.Spec.TwoFactor = kubevisionv1alpha1.TwoFactorRequired
	})
	becomes(t, direct(t), wire.TwoFactorRequired, right(u))
	var login setupLogin
	direct(t).Call(t, right(u)).Want(t, wire.TwoFactorRequired).Into(t, &login)
	if !login.SetupRequired || slices.Contains([]string{"", login.AccessToken, login.RefreshToken}, login.TempToken) {
		t.Fatalf("the response of the login is %+v", login)
	}
	return u, login
}

// TestSetupToken verifies that a user without the required second factor can log in with a dashboard that always asks
// for a one-time code. The server accepts any code, but the session only allows the set-up of the second factor.
func TestSetupToken(t *testing.T) {
	clients := pair(t)
	c := clients[0]
	u, login := newSetupLogin(t)
	var ended setupLogin
	c.Call(t, verify(t, login.TempToken, "123456")).Want(t, wire.OK).Into(t, &ended)
	if !ended.SetupRequired || ended.AccessToken == "" || ended.RefreshToken == "" ||
		!strings.Contains(string(ended.User), `"totpEnabled":false`) {
		t.Errorf("the login ends with %+v", ended)
	}
	for _, replica := range clients {
		soon(t, replica, wire.TokenExpired, whoami(login.AccessToken)) // the new session replaces the old one
		for _, path := range []string{clusterList, me + "/sessions", onHost + "/resources/pods", "/users"} {
			r := as(ended.AccessToken, wire.Request{Path: wire.DirectPath + path})
			e := replica.Call(t, r).Want(t, wire.TwoFactorRequired)
			if !strings.Contains(e.Message, "security settings") {
				t.Errorf("the message contains no position: %s", e.Message)
			}
		}
		for _, path := range []string{"/favorites", "/ai/config"} { // dashboards display their messages
			r := as(ended.AccessToken, wire.Request{Path: wire.DirectPath + path})
			e := replica.Call(t, r).Want(t, wire.Conflict)
			if !strings.Contains(e.Message, "security settings") ||
				!strings.Contains(string(e.Data), `"setupRequired":true`) {
				t.Errorf("%s: the message contains no advice: %s", path, e.Raw)
			}
		}
		replica.Call(t, verify(t, login.TempToken, "123456")).Want(t, wire.Unauthenticated)
	}
	limited := actor{User: u, Login: ended.Login}
	made := enrol(t, limited)
	c.Call(t, as(limited.AccessToken, wire.Request{Path: wire.DirectPath + clusterList})).Want(t, wire.OK)
	c.Call(t, verify(t, challenge(t, u), "000000")).Want(t, twoFactorFailed)
	renewed(t, c.Call(t, verify(t, challenge(t, u), code(t, made.Secret, 0))))
}

// TestSetupTokenIsWorthNothing verifies that a token for the set-up of a second factor is rejected in these cases:
//   - The user has set up a second factor.
//   - The password has changed.
//   - The user has logged out or is disabled.
//   - The token has expired.
//   - A client sends the token as an access token or as a refresh token.
func TestSetupTokenIsWorthNothing(t *testing.T) {
	c := direct(t)
	refused := func(t *testing.T, token string, want int) {
		t.Helper()
		c.Call(t, verify(t, token, "123456")).Want(t, want)
		c.Call(t, recovery(t, token, "3mow-woib-s22y-wlnc")).Want(t, want)
	}
	t.Run("a second factor", func(t *testing.T) {
		u, login := newSetupLogin(t)
		enrol(t, actor{User: u, Login: login.Login})
		refused(t, login.TempToken, wire.Unauthenticated)
	})
	t.Run("another password", func(t *testing.T) {
		u, login := newSetupLogin(t)
		replacePasswordInSecret(t, u, anotherPassword)
		becomes(t, c, wire.TwoFactorRequired, fixture.LoginRequest(wire.DirectPath, u.Name, anotherPassword))
		refused(t, login.TempToken, wire.Unauthenticated)
	})
	t.Run("a logout", func(t *testing.T) {
		_, login := newSetupLogin(t)
		logout := wire.Request{Method: "POST", Path: wire.DirectPath + "/auth/logout"}
		c.Call(t, as(login.AccessToken, logout)).Want(t, wire.OK)
		refused(t, login.TempToken, wire.Unauthenticated)
	})
	t.Run("a disabled user", func(t *testing.T) {
		u, login := newSetupLogin(t)
		disable(t, u, true)
		refused(t, login.TempToken, wire.Unauthenticated)
	})
	t.Run("its time", func(t *testing.T) {
		_, login := newSetupLogin(t)
		token := fixture.Take(t, login.TempToken)
		refused(t, token.Aged(time.Minute).Sign(t, set().SigningKey(t, token.Header["kid"])), wire.TokenExpired)
	})
	t.Run("in place of another token", func(t *testing.T) {
		_, login := newSetupLogin(t)
		c.Call(t, whoami(login.TempToken)).Want(t, wire.Unauthenticated)
		c.Call(t, refresh(t, login.TempToken)).Want(t, wire.Unauthenticated)
		refused(t, login.AccessToken, wire.Unauthenticated)
		refused(t, login.RefreshToken, wire.Unauthenticated)
	})
}

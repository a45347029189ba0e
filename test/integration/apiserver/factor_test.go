// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func setup(t *testing.T, token, password string) wire.Request {
	t.Helper()
	body := map[string]string{}
	if password != "" {
		body["password"] = password
	}
	return as(token, post(t, "/auth/2fa/setup", body))
}

// withLoginAge returns a copy of an access token with another login time: the current time minus age. If age is
// negative, the copy has no login time.
func withLoginAge(t *testing.T, accessToken string, age time.Duration) string {
	t.Helper()
	token := fixture.Take(t, accessToken)
	claims := map[string]any{"auth_time": time.Now().Add(-age).Unix()}
	if age < 0 {
		claims["auth_time"] = nil
	}
	return token.With(claims).Sign(t, set().SigningKey(t, token.Header["kid"]))
}

// TestATokenAloneEnrolsNothing verifies that a stolen access token is not sufficient to set up a second factor:
//   - The login must be at most five minutes old, or the request must contain the password.
//   - A refresh of the access token does not change the time of the login.
//   - An access token cannot replace a second factor that the user already has.
//   - A session cannot enable a second factor that another session of the user has set up.
//   - A session must wait after too many wrong passwords. Other sessions of the user need not wait.
func TestATokenAloneEnrolsNothing(t *testing.T) {
	c := direct(t)
	refused := func(t *testing.T, token string) {
		t.Helper()
		e := c.Call(t, setup(t, token, "")).Want(t, wire.TwoFactorRequired)
		if e.Meta.Field != "password" || !strings.Contains(string(e.Data), `"reverify":true`) {
			t.Errorf("the response does not name the missing right: %+v %s", e.Meta, e.Data)
		}
	}
	t.Run("the first one", func(t *testing.T) {
		a := newActor(t, "")
		if _, ok := fixture.Take(t, a.AccessToken).Claims["auth_time"].(float64); !ok {
			t.Error("the access token does not contain the time of the login")
		}
		for _, age := range []time.Duration{5*time.Minute + 2*time.Second, time.Hour, -1} {
			refused(t, withLoginAge(t, a.AccessToken, age))
		}
		old := withLoginAge(t, a.AccessToken, time.Hour)
		c.Call(t, as(old, post(t, "/auth/2fa/enable", map[string]string{"code": "000000"}))).Want(t, wire.Conflict)
		c.Call(t, setup(t, old, "wrong")).Want(t, twoFactorFailed)
		c.Call(t, setup(t, old, a.Password)).Want(t, wire.OK)
		c.Call(t, setup(t, withLoginAge(t, a.AccessToken, 4*time.Minute), "")).Want(t, wire.OK)
	})
	t.Run("after a refresh", func(t *testing.T) {
		a := newActor(t, "")
		time.Sleep(1100 * time.Millisecond)
		renewed := renewed(t, c.Call(t, refresh(t, a.RefreshToken)))
		before, had := fixture.Take(t, a.AccessToken).Claims["auth_time"].(float64)
		after, has := fixture.Take(t, renewed.AccessToken).Claims["auth_time"].(float64)
		if !had || !has || after > before+1 {
			t.Errorf("auth_time was %v and is %v", before, after)
		}
	})
	t.Run("one that is required", func(t *testing.T) {
		a := newActor(t, "")
		if _, stderr, err := kubectl(t, "", "patch", "kvu", a.Name, "--type=merge", "-p",
			`{"spec":{"twoFactor":"Required"}}`); err != nil {
			t.Fatalf("%v: %s", err, stderr)
		}
		soon(t, c, wire.TwoFactorRequired, whoami(a.AccessToken))
		refused(t, withLoginAge(t, a.AccessToken, time.Hour))
	})
	t.Run("one in force", func(t *testing.T) {
		a := newActor(t, "")
		enrol(t, a)
		refused(t, a.AccessToken)
		c.Call(t, as(a.AccessToken, post(t, "/auth/2fa/enable", map[string]string{"code": "000000"}))).Want(t,
			wire.Conflict)
	})
	t.Run("another session's", func(t *testing.T) {
		a := newActor(t, "")
		other := a.User.Login(t, c, wire.DirectPath)
		var made enrolment
		c.Call(t, setup(t, other.AccessToken, "")).Want(t, wire.OK).Into(t, &made)
		right := map[string]string{"code": code(t, made.Secret, 0)}
		c.Call(t, as(a.AccessToken, post(t, "/auth/2fa/enable", right))).Want(t, wire.Conflict)
		c.Call(t, as(other.AccessToken, post(t, "/auth/2fa/enable", right))).Want(t, wire.OK)
	})
	t.Run("wrong passwords", func(t *testing.T) {
		a := newActor(t, "")
		other := a.User.Login(t, c, wire.DirectPath)
		for range freeFailures {
			c.Call(t, setup(t, a.AccessToken, "wrong")).Want(t, twoFactorFailed)
		}
		c.Call(t, setup(t, a.AccessToken, a.Password)).Want(t, wire.TooManyRequests)
		// Both kinds of failures have one counter.
		c.Call(t, changePassword(t, a.AccessToken, a.Password, anotherPassword)).Want(t, wire.TooManyRequests)
		c.Call(t, right(a.User)).Want(t, wire.OK)
		c.Call(t, setup(t, other.AccessToken, a.Password)).Want(t, wire.OK)
	})
}

// TestWrongCodesEndOnlyTheirSession verifies the limit for wrong one-time codes that a logged-in user sends:
//   - The server counts the wrong codes of each session separately.
//   - Too many wrong codes end the session.
//   - Logins and other sessions of the user are not affected.
func TestWrongCodesEndOnlyTheirSession(t *testing.T) {
	c, a := direct(t), newActor(t, "admin")
	made := enrol(t, a)
	wrongs := []func() wire.Request{
		func() wire.Request { return withCode("000000", as(a.AccessToken, remove("/users/"+a.Name))) },
		func() wire.Request {
			return as(a.AccessToken, post(t, "/auth/2fa/disable", map[string]string{"code": "000000"}))
		},
		func() wire.Request {
			return as(a.AccessToken, post(t, "/auth/2fa/recovery-codes", map[string]string{"code": "000000"}))
		},
	}
	for i := range freeFailures {
		e := c.Call(t, wrongs[i%len(wrongs)]()).Want(t, twoFactorFailed)
		if waits := e.Meta.RetryAfterSeconds > 0; waits != (i == freeFailures-1) {
			t.Errorf("after %d wrong codes the next waits for %d s", i+1, e.Meta.RetryAfterSeconds)
		}
	}
	right := code(t, made.Secret, 0)
	// The server does not verify the code.
	c.Call(t, withCode(right, as(a.AccessToken, remove("/users/"+fixture.Name("nobody"))))).Want(t, wire.UserNotFound)
	e := c.Call(t, as(a.AccessToken, post(t, "/auth/2fa/recovery-codes", map[string]string{"code": right}))).Want(t,
		twoFactorFailed)
	if e.Meta.RetryAfterSeconds < 1 {
		t.Error("the correct code is not delayed after five wrong ones")
	}
	// The owner logs in with the same code, because it was not verified.
	login := renewed(t, c.Call(t, verify(t, challenge(t, a.User), right)))
	c.Call(t, as(login.AccessToken, post(t, "/auth/2fa/recovery-codes", map[string]string{"code": right}))).Want(t,
		twoFactorFailed)
	c.Call(t, as(login.AccessToken, post(t, "/auth/2fa/recovery-codes",
		map[string]string{"code": code(t, made.Secret, 1)}))).Want(t, wire.OK)

	for range 5 { // each code after the wait
		secret := storedCredentials(t, a.User)
		secret.Data["secondFactor"] = backdateWrongCodes(t, secret.Data["secondFactor"], 16*time.Minute)
		if err := env.Programs.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		c.Call(t, wrongs[0]()).Want(t, twoFactorFailed)
	}
	dead(t, a.Login, c)
	c.Call(t, whoami(login.AccessToken)).Want(t, wire.OK)
	found := awaitEvents(t, a.User, "FreshCodeFailed", "FreshCodeBlocked", "SessionEnded")
	if len(found["SecondFactorFailed"]) > 0 {
		t.Error("the events report a failed login")
	}
}

// backdateWrongCodes returns a copy of secondFactor, in which all wrong one-time codes of the user have the given age.
// The server then verifies the next code without a delay.
func backdateWrongCodes(t *testing.T, secondFactor []byte, age time.Duration) []byte {
	t.Helper()
	var factor map[string]any
	if err := json.Unmarshal(secondFactor, &factor); err != nil {
		t.Fatal("the second factor is not JSON")
	}
	counts, ok := factor["inSessions"].(map[string]any)
	if !ok {
		t.Fatal("no wrong code was counted")
	}
	last := time.Now().Add(-age).UTC().Format(time.RFC3339)
	sessions, _ := counts["sessions"].([]any)
	for _, count := range append([]any{counts["sum"]}, sessions...) {
		if fields, ok := count.(map[string]any); ok {
			fields["last"] = last
		}
	}
	out, err := json.Marshal(factor)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

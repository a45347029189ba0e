// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func reverify(t *testing.T, token, code string) wire.Request {
	t.Helper()
	return as(token, post(t, "/auth/2fa/reverify", fields{"code": code}))
}

// sensitive returns a request for which the server requires a one-time code. The request changes the display name of a
// user.
func sensitive(t *testing.T, token, user string) wire.Request {
	t.Helper()
	return as(token, put(t, "/users/"+user, fields{"displayName": fixture.Name("changed")}))
}

// TestReverify verifies that a session needs no further one-time codes for five minutes after a successful
// POST /auth/2fa/reverify. The exemption applies on every replica, but not to other sessions of the user.
func TestReverify(t *testing.T) {
	clients, manager := pair(t), newActor(t, "admin")
	c, victim := clients[0], set().User(t, "victim")
	token := manager.AccessToken
	c.Call(t, reverify(t, token, "123456")).Want(t, wire.Conflict) // the user has no second factor yet
	made := enrol(t, manager)
	e := c.Call(t, sensitive(t, token, victim.Name)).Want(t, wire.TwoFactorRequired)
	for _, what := range []string{codeHeader, "totpCode", "POST /auth/2fa/reverify"} {
		if !strings.Contains(e.Message, what) {
			t.Errorf("the message contains no advice: %s", e.Message)
		}
	}
	c.Call(t, reverify(t, token, "")).Want(t, wire.Required)
	c.Call(t, reverify(t, token, "000000")).Want(t, twoFactorFailed)
	c.Call(t, sensitive(t, token, victim.Name)).Want(t, wire.TwoFactorRequired)

	fresh := code(t, made.Secret, 0)
	var answer struct {
		Reverified bool  `json:"reverified"`
		ExpiresIn  int64 `json:"expiresIn"`
	}
	c.Call(t, reverify(t, token, fresh)).Want(t, wire.OK).Into(t, &answer)
	if !answer.Reverified || answer.ExpiresIn != 300 {
		t.Errorf("the answer is %+v", answer)
	}
	for _, replica := range clients {
		for range 2 {
			replica.Call(t, sensitive(t, token, victim.Name)).Want(t, wire.OK)
		}
		replica.Call(t, reverify(t, token, fresh)).Want(t, twoFactorFailed)
	}
	// A code in the request is verified even if the session is verified.
	c.Call(t, withCode(fresh, sensitive(t, token, victim.Name))).Want(t, twoFactorFailed)
	awaitEvents(t, manager.User, "SessionVerified", "VerifiedSessionUsed")
	session := fixture.Take(t, token).Session()
	wantLogged(t, manager.User, map[string]string{"SessionVerified": session, "VerifiedSessionUsed": session})

	t.Run("another session", func(t *testing.T) {
		forget(t, manager.User, "lastStep")
		other := renewed(t, c.Call(t, verify(t, challenge(t, manager.User), code(t, made.Secret, 0))))
		c.Call(t, sensitive(t, other.AccessToken, victim.Name)).Want(t, wire.TwoFactorRequired)
	})
	t.Run("the session renewed", func(t *testing.T) {
		manager.Login = renewed(t, c.Call(t, refresh(t, manager.RefreshToken)))
		c.Call(t, sensitive(t, manager.AccessToken, victim.Name)).Want(t, wire.OK)
	})
	t.Run("after five minutes", func(t *testing.T) {
		until := verifiedUntil(t, manager.User, session)
		if left := time.Until(until); left < 4*time.Minute || left > 5*time.Minute {
			t.Errorf("the code replaces fresh codes for %s", left)
		}
		setVerifiedUntil(t, manager.User, session, time.Now())
		for _, replica := range clients {
			replica.Call(t, sensitive(t, manager.AccessToken, victim.Name)).Want(t, wire.TwoFactorRequired)
		}
	})
	t.Run("after the session", func(t *testing.T) {
		setVerifiedUntil(t, manager.User, session, time.Now().Add(time.Minute))
		c.Call(t, sensitive(t, manager.AccessToken, victim.Name)).Want(t, wire.OK)
		logout := wire.Request{Method: "POST", Path: wire.DirectPath + "/auth/logout"}
		c.Call(t, as(manager.AccessToken, logout)).Want(t, wire.OK)
		for _, replica := range clients {
			soon(t, replica, wire.TokenExpired, sensitive(t, manager.AccessToken, victim.Name))
		}
	})
}

// TestReverifyEnds verifies that a change of the password or the second factor ends the exemption of a session from
// one-time codes. The session gets this exemption from POST /auth/2fa/reverify.
func TestReverifyEnds(t *testing.T) {
	c, victim := direct(t), set().User(t, "victim")
	for name, end := range map[string]func(t *testing.T, a actor, secret string){
		"another password": func(t *testing.T, a actor, _ string) {
			t.Helper()
			c.Call(t, changePassword(t, a.AccessToken, a.Password, anotherPassword)).Want(t, wire.OK)
		},
		"another second factor": func(t *testing.T, a actor, _ string) {
			t.Helper()
			var made enrolment
			c.Call(t, setup(t, a.AccessToken, a.Password)).Want(t, wire.OK).Into(t, &made)
			c.Call(t, as(a.AccessToken, post(t, "/auth/2fa/enable", fields{"code": code(t, made.Secret, 0)}))).Want(t,
				wire.OK)
		},
		"the second factor taken away and set up again": func(t *testing.T, a actor, secret string) {
			t.Helper()
			c.Call(t, as(a.AccessToken, post(t, "/auth/2fa/disable", fields{"code": code(t, secret, 1)}))).Want(t,
				wire.OK)
			enrol(t, a)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newActor(t, "admin")
			made := enrol(t, a)
			c.Call(t, reverify(t, a.AccessToken, code(t, made.Secret, 0))).Want(t, wire.OK)
			c.Call(t, sensitive(t, a.AccessToken, victim.Name)).Want(t, wire.OK)
			end(t, a, made.Secret)
			c.Call(t, sensitive(t, a.AccessToken, victim.Name)).Want(t, wire.TwoFactorRequired)
		})
	}
}

// TestCodeInTheBody verifies that a one-time code in the field totpCode of a request body has the same effect as a
// one-time code in the header X-KubeVision-TOTP.
func TestCodeInTheBody(t *testing.T) {
	c, manager := direct(t), newActor(t, "admin")
	made, name := enrol(t, manager), fixture.Name("made")
	user, _, _ := madeFor(name)
	namespace := later(t, &corev1.Namespace{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("coded")},
	})
	wrapped := later(t, &corev1.Namespace{
		TypeMeta: namespace.TypeMeta, ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("coded")},
	})
	privileged := later(t, &rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("coded")},
	})
	later(t, user)
	body := fields{"username": name, "password": anotherPassword}
	for _, bad := range []any{123456, []string{"123456"}, true} {
		e := c.Call(t, as(manager.AccessToken, post(t, "/users", body.with(fields{"totpCode": bad})))).Want(t,
			wire.Invalid)
		if e.Meta.Field != "totpCode" {
			t.Errorf("%v: the field is %q", bad, e.Meta.Field)
		}
	}
	for field, want := range map[string]int{"totpCode": twoFactorFailed, "TotpCode": wire.Invalid} {
		c.Call(t, as(manager.AccessToken, post(t, "/users", body.with(fields{field: "000000"})))).Want(t, want)
	}
	login := fields{"username": name, "password": "x", "totpCode": "000000"}
	c.Call(t, post(t, "/auth/login", login)).Want(t, wire.Invalid)
	absent(t, user)
	forget(t, manager.User, "inSessions")
	for i, r := range []wire.Request{
		post(t, "/users", body.with(fields{"totpCode": "%"})),
		put(t, "/users/"+name, fields{"email": "x@example.com", "totpCode": "%"}),
		post(t, "/users/"+name+"/reset-2fa", fields{"totpCode": "%"}),
		post(t, onHost+"/resources/namespaces", fields{
			"apiVersion": "v1", "kind": "Namespace", "metadata": fields{"name": namespace.Name}, "totpCode": "%",
		}),
		post(t, onHost+"/resources/namespaces", fields{"manifest": wrapped, "totpCode": "%"}),
		post(t, onHost+"/apply", fields{"manifest": privileged, "totpCode": "%"}),
		post(t, "/auth/2fa/recovery-codes", fields{"totpCode": "%"}),
		{Method: "DELETE", Path: wire.DirectPath + "/users/" + name, Body: `{"totpCode":"%"}`},
	} {
		r.Body = strings.Replace(r.Body, "%", code(t, made.Secret, 0), 1)
		if e := c.Call(t, as(manager.AccessToken, r)); e.Code != wire.OK {
			t.Errorf("request %d: code %d (%s)", i, e.Code, e.Message)
		}
		if e := c.Call(t, as(manager.AccessToken, r)); e.Code == wire.OK {
			t.Errorf("request %d: the code is accepted twice", i)
		}
		forget(t, manager.User, "lastStep")
		if strings.Contains(string(storedCredentials(t, manager.User).Data["secondFactor"]), "inSessions") {
			forget(t, manager.User, "inSessions")
		}
	}
	path := wire.DirectPath + onHost + "/resources/namespaces/" + namespace.Name
	e := c.Call(t, as(manager.AccessToken, wire.Request{Path: path})).Want(t, wire.OK)
	if strings.Contains(string(e.Data), "totpCode") {
		t.Errorf("the code was stored: %s", e.Data)
	}
}

// verifiedSession is an element of a list in the credentials Secret of a user. The session needs no further one-time
// codes until the expiry time.
type verifiedSession struct {
	Name    string    `json:"name"`
	Expires time.Time `json:"expires"`
}

func verifiedSessions(t *testing.T, u fixture.User) (map[string]json.RawMessage, []verifiedSession) {
	t.Helper()
	factor, sessions := map[string]json.RawMessage{}, []verifiedSession{}
	if err := json.Unmarshal(storedCredentials(t, u).Data["secondFactor"], &factor); err != nil {
		t.Fatal("the second factor is not JSON")
	}
	if err := json.Unmarshal(factor["verified"], &sessions); err != nil {
		t.Fatalf("the verified sessions: %v", err)
	}
	return factor, sessions
}

func verifiedUntil(t *testing.T, u fixture.User, session string) time.Time {
	t.Helper()
	_, sessions := verifiedSessions(t, u)
	for _, s := range sessions {
		if s.Name == session {
			return s.Expires
		}
	}
	t.Fatalf("session %s is not among %v", session, sessions)
	return time.Time{}
}

func setVerifiedUntil(t *testing.T, u fixture.User, session string, until time.Time) {
	t.Helper()
	factor, _ := verifiedSessions(t, u)
	var err error
	if factor["verified"], err = json.Marshal([]verifiedSession{{Name: session, Expires: until}}); err != nil {
		t.Fatal(err)
	}
	secret := storedCredentials(t, u)
	if secret.Data["secondFactor"], err = json.Marshal(factor); err != nil {
		t.Fatal(err)
	}
	if err := env.Programs.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
}

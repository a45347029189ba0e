// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func post(tb testing.TB, path string, body any) wire.Request {
	tb.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		tb.Fatal(err)
	}
	return wire.Request{Method: "POST", Path: wire.DirectPath + path, Body: string(raw)}
}

func refresh(tb testing.TB, token string) wire.Request {
	tb.Helper()
	return post(tb, "/auth/refresh", map[string]string{"refreshToken": token})
}

func renewed(tb testing.TB, e wire.Envelope) fixture.Login {
	tb.Helper()
	var login fixture.Login
	e.Want(tb, wire.OK).Into(tb, &login)
	return login
}

func changeSession(tb testing.TB, token string, change func(*kubevisionv1alpha1.KubeVisionSession)) {
	tb.Helper()
	name, _, _ := strings.Cut(token, ".")
	s := &kubevisionv1alpha1.KubeVisionSession{}
	if err := env.Client.Get(tb.Context(), client.ObjectKey{Name: name}, s); err != nil {
		tb.Fatal(err)
	}
	change(s)
	if err := env.Programs.Update(tb.Context(), s); err != nil {
		tb.Fatal(err)
	}
}

func TestRefresh(t *testing.T) {
	a := newActor(t, "")
	c := direct(t)
	next := renewed(t, c.Call(t, refresh(t, a.RefreshToken)))
	if next.RefreshToken == a.RefreshToken || next.AccessToken == "" {
		t.Fatal("the refresh token was not rotated")
	}
	c.Call(t, wire.Request{Path: wire.DirectPath + me, Bearer: next.AccessToken}).Want(t, wire.OK)
	again := renewed(t, c.Call(t, refresh(t, a.RefreshToken)))
	if again.RefreshToken != next.RefreshToken {
		t.Error("a second tab with the same token must get the token that is valid")
	}
	for range 3 {
		next = renewed(t, c.Call(t, refresh(t, next.RefreshToken)))
	}
}

// TestReuseEndsTheSession verifies that a session ends when a client sends a refresh token that was replaced more than
// 30 seconds before. All tokens of the session become invalid.
func TestReuseEndsTheSession(t *testing.T) {
	c := direct(t)
	for name, rotations := range map[string]int{"the last token": 1, "an older token": 4} {
		t.Run(name, func(t *testing.T) {
			a := newActor(t, "")
			next := fixture.Login{RefreshToken: a.RefreshToken}
			for range rotations {
				next = renewed(t, c.Call(t, refresh(t, next.RefreshToken)))
			}
			changeSession(t, a.RefreshToken, func(s *kubevisionv1alpha1.KubeVisionSession) {
				s.Spec.RotationTime = &metav1.Time{Time: time.Now().Add(-31 * time.Second)}
			})
			c.Call(t, refresh(t, a.RefreshToken)).Want(t, wire.Unauthenticated)
			c.Call(t, refresh(t, next.RefreshToken)).Want(t, wire.Unauthenticated)
			soon(t, c, wire.TokenExpired, wire.Request{Path: wire.DirectPath + me, Bearer: next.AccessToken})
		})
	}
}

// TestRefreshRace verifies that fifty concurrent renewals of one session on two replicas return the same token.
func TestRefreshRace(t *testing.T) {
	a := newActor(t, "")
	clients := pair(t)
	var mu sync.Mutex
	tokens := map[string]int{}
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			response, err := clients[i%2].Do(t.Context(), refresh(t, a.RefreshToken))
			if err != nil {
				t.Error(err)
				return
			}
			e, err := response.Parse()
			if err != nil || e.Code != wire.OK {
				t.Errorf("code %d, %v", e.Code, err)
				return
			}
			var login fixture.Login
			if err := json.Unmarshal(e.Data, &login); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			tokens[login.RefreshToken]++
		})
	}
	group.Wait()
	if len(tokens) != 1 {
		t.Errorf("%d different tokens from one refresh token", len(tokens))
	}
	for token := range tokens {
		renewed(t, clients[0].Call(t, refresh(t, token)))
	}
}

func TestRefreshIsRefused(t *testing.T) {
	c := direct(t)
	a := newActor(t, "")
	for name, token := range map[string]string{
		"words":             "not a token",
		"access token":      a.AccessToken,
		"another's secret":  strings.Split(a.RefreshToken, ".")[0] + "." + strings.Repeat("A", 43),
		"unknown session":   "01arz3ndektsv4rrffq69g5fav." + strings.Split(a.RefreshToken, ".")[1],
		"path in its place": "../kubevisionusers." + strings.Split(a.RefreshToken, ".")[1],
	} {
		if e := c.Call(t, refresh(t, token)); e.Code != wire.Unauthenticated {
			t.Errorf("%s: code %d", name, e.Code)
		}
	}
	c.Call(t, refresh(t, "")).Want(t, wire.Required)
	c.Call(t, post(t, "/auth/refresh", map[string]int{"refreshToken": 1})).Want(t, wire.Invalid)
	c.Call(t, wire.Request{Path: wire.DirectPath + me, Bearer: a.RefreshToken}).Want(t, wire.Unauthenticated)
	renewed(t, c.Call(t, refresh(t, a.RefreshToken))) // the session is still valid

	b := newActor(t, "")
	changeSession(t, b.RefreshToken, func(s *kubevisionv1alpha1.KubeVisionSession) {
		s.Spec.ExpirationTime = metav1.NewTime(time.Now().Add(-time.Second))
	})
	c.Call(t, refresh(t, b.RefreshToken)).Want(t, wire.TokenExpired)
	disabled := newActor(t, "")
	disable(t, disabled.User, true)
	becomes(t, c, wire.Unauthenticated, refresh(t, disabled.RefreshToken))
}

func TestOwnSessions(t *testing.T) {
	c := direct(t)
	a, other := newActor(t, ""), newActor(t, "")
	second := a.User.Login(t, c, wire.DirectPath)
	list := func(token string) []map[string]any {
		var sessions []map[string]any
		c.Call(t, wire.Request{Path: wire.DirectPath + me + "/sessions", Bearer: token}).Want(t, wire.OK).Into(t,
			&sessions)
		return sessions
	}
	if got := list(a.AccessToken); len(got) != 2 {
		t.Fatalf("%d sessions, want 2", len(got))
	}
	foreign := fixture.Take(t, other.AccessToken).Session()
	for id, want := range map[string]int{foreign: wire.NotFound, "no-such-session": wire.NotFound,
		"Upper": wire.Invalid} {
		c.Call(t, wire.Request{Method: "DELETE", Path: wire.DirectPath + me + "/sessions/" + id,
			Bearer: a.AccessToken}).Want(t, want)
	}
	own := fixture.Take(t, second.AccessToken).Session()
	c.Call(t, wire.Request{Method: "DELETE", Path: wire.DirectPath + me + "/sessions/" + own,
		Bearer: a.AccessToken}).Want(t, wire.OK)
	soon(t, c, wire.TokenExpired, wire.Request{Path: wire.DirectPath + me, Bearer: second.AccessToken})
	c.Call(t, refresh(t, second.RefreshToken)).Want(t, wire.Unauthenticated)
	c.Call(t, wire.Request{Method: "POST", Path: wire.DirectPath + "/auth/logout", Bearer: a.AccessToken}).Want(t,
		wire.OK)
	soon(t, c, wire.TokenExpired, wire.Request{Path: wire.DirectPath + me, Bearer: a.AccessToken})
	c.Call(t, refresh(t, a.RefreshToken)).Want(t, wire.Unauthenticated)
	if got := list(other.AccessToken); len(got) != 1 {
		t.Errorf("sessions of another user: %d, want 1", len(got))
	}
}

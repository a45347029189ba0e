// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func reads(t *testing.T, resource string) int {
	t.Helper()
	total := 0
	text := string(wire.Configured(t, env.Cluster.Config()).Send(t, wire.Request{Path: "/metrics"}).Body)
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "apiserver_request_total{") || !strings.Contains(line, `resource="`+resource+`"`) ||
			!strings.Contains(line, `verb="GET"`) { // a single read, not a list
			continue
		}
		var n float64
		if _, err := fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		total += int(n)
	}
	return total
}

func random(n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// TestInventedRefreshTokens verifies that many forged refresh tokens cause few reads of sessions from kube-apiserver.
// The server throttles forged tokens, but accepts valid tokens from the same address.
func TestInventedRefreshTokens(t *testing.T) {
	const each = 100
	forgiveAfterwards(t)
	c := at(t, replicaWith(t, behindProxy, "--login-failures-per-address=2").Endpoint())
	a := newActor(t, "")
	session, secret, _ := strings.Cut(a.RefreshToken, ".")
	secret, mac, _ := strings.Cut(secret, ".")
	becomes(t, c, wire.OK, whoami(a.AccessToken))
	before := reads(t, "kubevisionsessions")
	for name, invent := range map[string]func() string{
		"all of it": func() string {
			return strings.ToLower(ulid.Make().String()) + "." + random(32) + "." + random(16)
		},
		"of an earlier version":    func() string { return strings.ToLower(ulid.Make().String()) + "." + random(32) },
		"the secret":               func() string { return session + "." + random(32) + "." + mac },
		"the secret, without code": func() string { return session + "." + random(32) },
		"the code": func() string {
			return strings.ToLower(ulid.Make().String()) + "." + secret + "." + mac
		},
	} {
		t.Run(name, func(t *testing.T) {
			address, codes := fixture.RandomAddress(), map[int]int{}
			for range each {
				codes[c.Call(t, from(address, refresh(t, invent()))).Code]++
			}
			if codes[wire.Unauthenticated] < 30 || codes[wire.TooManyRequests] < 10 || len(codes) != 2 {
				t.Errorf("codes %v", codes)
			}
			last := c.Call(t, from(address, refresh(t, invent())))
			for n := 0; n < each && last.Code == wire.Unauthenticated; n++ { // a margin for a slow machine
				last = c.Call(t, from(address, refresh(t, invent())))
			}
			e := last.Want(t, wire.TooManyRequests)
			if e.Meta.RetryAfterSeconds < 1 {
				t.Errorf("retryAfterSeconds is %d", e.Meta.RetryAfterSeconds)
			}
			c.Call(t, from(fixture.RandomAddress(), refresh(t, invent()))).Want(t, wire.Unauthenticated)
		})
	}
	if n := reads(t, "kubevisionsessions") - before; n > 20 {
		t.Errorf("%d sessions were read on the host for %d invented tokens", n, 5*each)
	}
	blocked := fixture.RandomAddress()
	for range 2 {
		c.Call(t, from(blocked, wrong(fixture.Name("x")))).Want(t, wire.Unauthenticated)
	}
	soon(t, c, wire.TooManyRequests, from(blocked, refresh(t, session+"."+random(32))))
	renewed(t, c.Call(t, from(blocked, refresh(t, a.RefreshToken))))
}

// TestDeadTokens verifies that many requests with expired tokens cause few requests to kube-apiserver.
func TestDeadTokens(t *testing.T) {
	const often = 100
	c, a := direct(t), newActor(t, "")
	set().Delete(t, &kubevisionv1alpha1.KubeVisionSession{ObjectMeta: metav1.ObjectMeta{Name: fixture.Take(t,
		a.AccessToken).Session()}})
	soon(t, c, wire.TokenExpired, whoami(a.AccessToken))
	before := reads(t, "kubevisionsessions")
	for range often {
		c.Call(t, whoami(a.AccessToken)).Want(t, wire.TokenExpired)
		c.Call(t, refresh(t, a.RefreshToken)).Want(t, wire.Unauthenticated)
	}
	if n := reads(t, "kubevisionsessions") - before; n > 20 {
		t.Errorf("%d sessions were read on the host for %d uses of dead tokens", n, 2*often)
	}
}

// TestRefreshTokensOutliveTheirKey verifies that refresh tokens with an earlier key or format remain valid until their
// session ends.
func TestRefreshTokensOutliveTheirKey(t *testing.T) {
	clients := pair(t)
	a, old := newActor(t, ""), newActor(t, "")
	parts := strings.Split(old.RefreshToken, ".")
	for _, c := range clients {
		becomes(t, c, wire.OK, whoami(old.AccessToken))
	}
	next := renewed(t, clients[1].Call(t, refresh(t, parts[0]+"."+parts[1])))
	if n := len(strings.Split(next.RefreshToken, ".")); n != 3 {
		t.Errorf("its successor has %d parts", n)
	}
	renewed(t, clients[0].Call(t, refresh(t, next.RefreshToken))) // another replica has just issued this token

	keys := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: fixture.SystemNamespace,
		Name: "kubevision-signing-keys"}}
	if err := env.Client.Delete(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		becomes(t, c, wire.Unauthenticated, whoami(a.AccessToken)) // the new key is in use
	}
	time.Sleep(promptly)
	for _, c := range clients {
		a.Login = renewed(t, c.Call(t, refresh(t, a.RefreshToken)))
		c.Call(t, whoami(a.AccessToken)).Want(t, wire.OK)
	}
}

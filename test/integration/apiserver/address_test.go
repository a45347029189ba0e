// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"net/http"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func from(addresses string, r wire.Request) wire.Request {
	r.Header = http.Header{"X-Forwarded-For": {addresses}}
	return r
}

func addressOf(t *testing.T, l fixture.Login) string {
	t.Helper()
	s := &kubevisionv1alpha1.KubeVisionSession{}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Name: fixture.Take(t, l.AccessToken).Session()},
		s); err != nil {
		t.Fatal(err)
	}
	return s.Spec.Client.Address
}

func loopback(address string) bool { return address == "127.0.0.1" || address == "::1" }

// TestWhereARequestComesFrom verifies that the client address is the address of the connection, unless a trusted proxy
// sends another address.
func TestWhereARequestComesFrom(t *testing.T) {
	const spoofed = "203.0.113.77"
	u := set().User(t, "located")
	u.Login(t, direct(t), wire.DirectPath)
	genuine := env.Cluster.RequestHeaderCA()
	behind := at(t, replicaWith(t, "--trusted-proxies=127.0.0.0/8,::1/128,10.0.0.0/8").Endpoint())
	grouped := right(u)
	grouped.Path = wire.GroupPath + "/auth/login"
	for name, tc := range map[string]struct {
		client  *wire.Client
		request wire.Request
		want    string // empty for this machine
	}{
		"direct, a lie":                   {direct(t), from(spoofed, right(u)), ""},
		"through kube-apiserver":          {kube(t, "porter"), grouped, ""},
		"through kube-apiserver, a lie":   {kube(t, "porter"), from(spoofed, grouped), ""},
		"through kube-apiserver, a chain": {kube(t, "porter"), from(spoofed+", 10.1.1.1", grouped), ""},
		"the front proxy": {direct(t, env.Cluster.FrontProxyCert()), from(spoofed, right(u)),
			spoofed},
		"the front proxy's client, a lie": {direct(t, env.Cluster.FrontProxyCert()),
			from("192.0.2.1, "+spoofed, right(u)), spoofed},
		"the right authority, another name": {direct(t, issued(t, genuine, "somebody")),
			from(spoofed, right(u)), ""},
		"the cluster's authority, the right name": {direct(t,
			issued(t, env.Cluster.ClusterCA(), localcluster.FrontProxyName)), from(spoofed, right(u)), ""},
		"a trusted proxy": {behind, from(spoofed, right(u)), spoofed},
		"a trusted proxy behind another": {behind, from("192.0.2.1, "+spoofed+", 10.1.1.1", right(u)),
			spoofed},
		"a trusted proxy, garbage":            {behind, from("192.0.2.1, garbage", right(u)), ""},
		"a trusted proxy, IPv6":               {behind, from("2001:db8::77", right(u)), "2001:db8::77"},
		"a trusted proxy, without the header": {behind, right(u), ""},
		"a trusted proxy, the header of another": {behind,
			wire.Request{Method: "POST", Path: right(u).Path, Body: right(u).Body,
				Header: http.Header{"X-Real-Ip": {spoofed}}}, ""},
		"an administrator of the cluster, a lie":   {direct(t, admin()), from(spoofed, right(u)), ""},
		"a trusted proxy, a name that is no value": {behind, from("localhost", right(u)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := addressOf(t, renewed(t, tc.client.Call(t, tc.request)))
			if got != tc.want && (tc.want != "" || !loopback(got)) {
				t.Errorf("the session was begun at %q, want %q", got, tc.want)
			}
		})
	}
}

// TestAnAddressIsBlocked verifies that an address that tries many names is blocked for all users, and that other
// addresses are not blocked.
func TestAnAddressIsBlocked(t *testing.T) {
	const free, bad, badNetwork = 8, "198.51.100.23", "2001:db8:bad:1::"
	u := set().User(t, "neighbour")
	u.Login(t, direct(t), wire.DirectPath)
	flags := []string{"--trusted-proxies=127.0.0.0/8,::1/128", "--login-failures-per-address=8"}
	clients := []*wire.Client{at(t, replicaWith(t, flags...).Endpoint()), at(t, replicaWith(t, flags...).Endpoint())}
	forgiveAfterwards(t)
	for name, tc := range map[string]struct{ guessing, alike, object string }{
		"IPv4": {bad, "::ffff:" + bad, "address-" + bad},
		"IPv6": {badNetwork + "1", badNetwork + "ffff:1", "address-2001-0db8-0bad-0001"},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range free {
				c := clients[i%2]
				c.Call(t, from(tc.guessing, right(u))).Want(t, wire.OK) // a success does not reset the failures
				c.Call(t, from(tc.guessing, wrong(fixture.Name("guessed")))).Want(t, wire.Unauthenticated)
			}
			for _, c := range clients {
				soon(t, c, wire.TooManyRequests, from(tc.guessing, wrong(fixture.Name("guessed"))))
				e := c.Call(t, from(tc.guessing, right(u))).Want(t, wire.TooManyRequests)
				if s := e.Meta.RetryAfterSeconds; s < 1 || s > 60 {
					t.Errorf("retryAfterSeconds is %d", s)
				}
				c.Call(t, from(tc.alike, right(u))).Want(t, wire.TooManyRequests)
				// The first address in the header is forged.
				c.Call(t, from("203.0.113.5, "+tc.guessing, right(u))).Want(t, wire.TooManyRequests)
				for _, other := range []string{"198.51.100.24", "2001:db8:bad:2::1", tc.guessing + ", 203.0.113.5"} {
					c.Call(t, from(other, right(u))).Want(t, wire.OK)
				}
			}
			l := u.Login(t, direct(t), wire.DirectPath)
			clients[0].Call(t, from(tc.guessing, whoami(l.AccessToken))).Want(t, wire.OK) // sessions continue
			renewed(t, clients[0].Call(t, from(tc.guessing, refresh(t, l.RefreshToken))))
			if _, stderr, err := kubectl(t, "", "delete", "kvlt", tc.object); err != nil {
				t.Fatalf("%v: %s", err, stderr)
			}
			for _, c := range clients {
				soon(t, c, wire.OK, from(tc.guessing, right(u)))
			}
		})
	}
}

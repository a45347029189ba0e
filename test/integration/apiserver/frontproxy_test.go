// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func issued(tb testing.TB, authority localcluster.KeyPair, name string, groups ...string) localcluster.KeyPair {
	tb.Helper()
	pair, err := authority.IssueClient(name, groups...)
	if err != nil {
		tb.Fatal(err)
	}
	return pair
}

func authority(tb testing.TB, name string) localcluster.KeyPair {
	tb.Helper()
	pair, err := localcluster.NewAuthority(name)
	if err != nil {
		tb.Fatal(err)
	}
	return pair
}

func remote(user string, groups ...string) http.Header {
	return http.Header{"X-Remote-User": {user}, "X-Remote-Group": groups}
}

// TestOnlyTheFrontProxySpeaksForOthers verifies that the headers X-Remote-User and X-Remote-Group have an effect only
// in requests with the client certificate of the front proxy.
func TestOnlyTheFrontProxySpeaksForOthers(t *testing.T) {
	genuine, cluster := env.Cluster.RequestHeaderCA(), env.Cluster.ClusterCA()
	forged := remote("kubernetes-admin", "system:masters", "system:authenticated")
	for name, tc := range map[string]struct {
		pairs  []localcluster.KeyPair
		header http.Header
		want   int
	}{
		"no certificate": {nil, forged, wire.Unauthenticated},
		"another authority of the same name": {[]localcluster.KeyPair{issued(t, authority(t, "front-proxy"),
			localcluster.FrontProxyName)}, forged, wire.Unauthenticated},
		"another authority": {[]localcluster.KeyPair{issued(t, authority(t, "x"),
			localcluster.FrontProxyName)}, forged, wire.Unauthenticated},
		"the cluster's authority, the proxy's name": {[]localcluster.KeyPair{issued(t, cluster,
			localcluster.FrontProxyName)}, forged, wire.Unauthenticated},
		"the right authority, another name": {[]localcluster.KeyPair{issued(t, genuine, "somebody")}, forged,
			wire.Unauthenticated},
		"the right authority, no name": {[]localcluster.KeyPair{issued(t, genuine, "")}, forged,
			wire.Unauthenticated},
		"the right authority, the name as a group": {[]localcluster.KeyPair{issued(t, genuine, "somebody",
			localcluster.FrontProxyName)}, forged, wire.Unauthenticated},
		"the authority itself":            {[]localcluster.KeyPair{genuine}, forged, wire.Unauthenticated},
		"an administrator of the cluster": {[]localcluster.KeyPair{admin()}, nil, wire.Unauthenticated},
		"an administrator, forging":       {[]localcluster.KeyPair{admin()}, forged, wire.Unauthenticated},
		"the front proxy without headers": {[]localcluster.KeyPair{env.Cluster.FrontProxyCert()}, nil,
			wire.Unauthenticated},
		"the front proxy, an empty name": {[]localcluster.KeyPair{env.Cluster.FrontProxyCert()},
			remote("", "system:masters"), wire.Unauthenticated},
		"the front proxy, anonymous": {[]localcluster.KeyPair{env.Cluster.FrontProxyCert()},
			remote("system:anonymous", "system:unauthenticated"), wire.Unauthenticated},
		"the front proxy": {[]localcluster.KeyPair{env.Cluster.FrontProxyCert()}, remote("jane", "testers"), wire.OK},
	} {
		t.Run(name, func(t *testing.T) {
			client := direct(t, tc.pairs...)
			for _, base := range []string{wire.GroupPath, wire.DirectPath} {
				e := client.Call(t, wire.Request{Path: base + me, Header: tc.header}).Want(t, tc.want)
				if tc.want != wire.OK {
					continue
				}
				if got := username(t, e); got != "jane" {
					t.Errorf("the front proxy impersonated %q, want jane", got)
				}
			}
		})
	}
}

// TestTheTokenDecides verifies that an access token takes precedence over the user that kube-apiserver has
// authenticated.
func TestTheTokenDecides(t *testing.T) {
	a := newActor(t, "")
	proxy := direct(t, env.Cluster.FrontProxyCert())
	jane := fixture.Name("jane")
	set().HostCluster(t, host)
	set().Bind(t, "jane", fixture.Grant{Role: "admin", Subjects: subject(kubevisionv1alpha1.SubjectUser, jane),
		Cluster: host})
	token := fixture.Take(t, a.AccessToken)
	expired := token.Aged(time.Minute).Sign(t, set().SigningKey(t, token.Header["kid"]))
	proxied := func(path string, header http.Header) wire.Request {
		maps.Copy(header, remote(jane, "system:authenticated"))
		return wire.Request{Path: wire.GroupPath + path, Header: header}
	}
	for name, tc := range map[string]struct {
		header http.Header
		want   int
		name   string
	}{
		"no token":                {http.Header{}, wire.OK, jane},
		"a token":                 {http.Header{wire.TokenHeader: {a.AccessToken}}, wire.OK, a.Name},
		"a token in another case": {http.Header{"x-kubevision-token": {a.AccessToken}}, wire.OK, a.Name},
		"a bearer token":          {http.Header{"Authorization": {"Bearer " + a.AccessToken}}, wire.OK, a.Name},
		"a wrong token":           {http.Header{wire.TokenHeader: {"x"}}, wire.Unauthenticated, ""},
		"an empty token":          {http.Header{wire.TokenHeader: {""}}, wire.Unauthenticated, ""},
		"an expired token":        {http.Header{wire.TokenHeader: {expired}}, wire.TokenExpired, ""},
		"a wrong token before a valid one": {http.Header{wire.TokenHeader: {"x", a.AccessToken}},
			wire.Unauthenticated, ""},
		"the header over the bearer": {http.Header{wire.TokenHeader: {"x"},
			"Authorization": {"Bearer " + a.AccessToken}}, wire.Unauthenticated, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := proxy.Call(t, proxied(me, tc.header)).Want(t, tc.want)
			if tc.want == wire.OK && username(t, e) != tc.name {
				t.Errorf("the caller is %s, want %s", username(t, e), tc.name)
			}
		})
	}
	t.Run("for what may be read", func(t *testing.T) {
		becomes(t, proxy, wire.OK, proxied(onHost+"/resources/nodes", http.Header{}))
		proxy.Call(t, proxied(onHost+"/resources/nodes", http.Header{wire.TokenHeader: {a.AccessToken}})).Want(t,
			wire.ClusterForbidden)
	})
}

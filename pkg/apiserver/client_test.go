// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"

	"github.com/kubevision-io/kubevision/hack/localcluster"
)

const (
	proxied  = "10.1.2.3:4711"
	proxied6 = "[fd00::2]:4711"
	// stranger is the address of a client that is not a trusted proxy.
	stranger = "198.51.100.9:4711"
)

func newFinder(t *testing.T, proxies ...string) (*clientFinder, localcluster.KeyPair) {
	t.Helper()
	authority, err := localcluster.NewAuthority("front-proxy")
	if err != nil {
		t.Fatal(err)
	}
	content, err := dynamiccertificates.NewStaticCAContent("front-proxy", authority.CertPEM)
	if err != nil {
		t.Fatal(err)
	}
	var networks []netip.Prefix
	for _, p := range proxies {
		networks = append(networks, netip.MustParsePrefix(p))
	}
	return newClientFinder(networks, nil, &authenticatorfactory.RequestHeaderConfig{
		CAContentProvider: content, AllowedClientNames: headerrequest.StaticStringSlice{localcluster.FrontProxyName},
	}), authority
}

func requestFrom(t *testing.T, peer string, forwarded ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
	r.RemoteAddr = peer
	for _, value := range forwarded {
		r.Header.Add("X-Forwarded-For", value)
	}
	return r
}

func TestForwardedFor(t *testing.T) {
	f, _ := newFinder(t, "10.0.0.0/8", "fd00::/8")
	for name, tc := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"no header":                         {stranger, nil, "198.51.100.9"},
		"a stranger's header":               {stranger, []string{"203.0.113.1"}, "198.51.100.9"},
		"a stranger names a proxy":          {stranger, []string{"203.0.113.1, 10.1.2.3"}, "198.51.100.9"},
		"a proxy without a header":          {proxied, nil, "10.1.2.3"},
		"a proxy with an empty one":         {proxied, []string{""}, "10.1.2.3"},
		"a proxy's header":                  {proxied, []string{"203.0.113.1"}, "203.0.113.1"},
		"forged addresses of the client":    {proxied, []string{"192.0.2.1, 203.0.113.1"}, "203.0.113.1"},
		"a proxy's name before the client":  {proxied, []string{"10.9.9.9, 203.0.113.1"}, "203.0.113.1"},
		"two proxies":                       {proxied, []string{"203.0.113.1, 10.4.4.4"}, "203.0.113.1"},
		"two proxies, and a lie":            {proxied, []string{"192.0.2.1, 203.0.113.1, 10.4.4.4"}, "203.0.113.1"},
		"proxies only":                      {proxied, []string{"10.5.5.5, 10.4.4.4"}, "10.5.5.5"},
		"several headers":                   {proxied, []string{"192.0.2.1", "203.0.113.1", "10.4.4.4"}, "203.0.113.1"},
		"several headers, the last decides": {proxied, []string{"10.4.4.4, 192.0.2.1", "203.0.113.1"}, "203.0.113.1"},
		"an empty one at the end":           {proxied, []string{"203.0.113.1", ""}, "10.1.2.3"},
		"a comma at the end":                {proxied, []string{"203.0.113.1,"}, "10.1.2.3"},
		"no blanks":                         {proxied, []string{"192.0.2.1,203.0.113.1"}, "203.0.113.1"},
		"many blanks":                       {proxied, []string{"  192.0.2.1 ,\t203.0.113.1  "}, "203.0.113.1"},
		"garbage":                           {proxied, []string{"garbage"}, "10.1.2.3"},
		"garbage before":                    {proxied, []string{"<script>, 203.0.113.1"}, "203.0.113.1"},
		"garbage behind a proxy":            {proxied, []string{"192.0.2.1, unknown, 10.4.4.4"}, "10.4.4.4"},
		"a host name":                       {proxied, []string{"evil.example.com"}, "10.1.2.3"},
		"a network":                         {proxied, []string{"203.0.113.0/24"}, "10.1.2.3"},
		"leading zeros":                     {proxied, []string{"203.0.113.010"}, "10.1.2.3"},
		"IPv6":                              {proxied, []string{"2001:db8::1"}, "2001:db8::1"},
		"IPv6 with a zone":                  {proxied, []string{"fe80::1%eth0"}, "fe80::1"},
		"IPv4 in IPv6":                      {proxied, []string{"::ffff:203.0.113.1"}, "203.0.113.1"},
		"a proxy as IPv4 in IPv6":           {proxied, []string{"203.0.113.1, ::ffff:10.4.4.4"}, "203.0.113.1"},
		"a proxy's peer as IPv4 in IPv6":    {"[::ffff:10.1.2.3]:4711", []string{"203.0.113.1"}, "203.0.113.1"},
		"a proxy by IPv6":                   {proxied6, []string{"203.0.113.1"}, "203.0.113.1"},
		"a stranger by IPv6":                {"[2001:db8::9]:4711", []string{"203.0.113.1"}, "2001:db8::9"},
		"a stranger by a link":              {"[fe80::9%eth0]:4711", []string{"203.0.113.1"}, "fe80::9"},
		"a very long chain": {proxied, []string{strings.Repeat("10.4.4.4,", 10_000) + "10.4.4.4"},
			"10.4.4.4"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := f.find(requestFrom(t, tc.peer, tc.forwarded...)).Address; got.String() != tc.want {
				t.Errorf("%s by %q is %s, want %s", tc.peer, tc.forwarded, got, tc.want)
			}
		})
	}
}

// TestOtherHeadersAreNotBelieved verifies that only X-Forwarded-For can set the client address. Headers such as
// X-Real-IP and Forwarded are ignored, even if a trusted proxy sends them.
func TestOtherHeadersAreNotBelieved(t *testing.T) {
	f, _ := newFinder(t, "10.0.0.0/8")
	for _, header := range []string{"X-Real-Ip", "Forwarded", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip",
		"X-Forwarded", "X-Forwarded-For-Original"} {
		for _, value := range []string{"203.0.113.1", "for=203.0.113.1"} {
			r := requestFrom(t, proxied)
			r.Header.Set(header, value)
			if got := f.address(r); got.String() != "10.1.2.3" {
				t.Errorf("%s: %s makes it %s", header, value, got)
			}
		}
	}
}

func TestNoProxyIsTrustedByDefault(t *testing.T) {
	f, _ := newFinder(t)
	for _, peer := range []string{proxied, proxied6, stranger, "127.0.0.1:1", "[::1]:1"} {
		want := netip.MustParseAddrPort(peer).Addr()
		if got := f.address(requestFrom(t, peer, "203.0.113.1")); got != want {
			t.Errorf("%s is %s", peer, got)
		}
	}
	// These peer addresses contain no IP address.
	for _, peer := range []string{"", "@", "pipe", "203.0.113.1", "localhost:80"} {
		if got := f.address(requestFrom(t, peer, "203.0.113.1")); got.IsValid() {
			t.Errorf("%q is %s", peer, got)
		}
	}
}

// TestTheFrontProxySaysForWhom verifies that X-Forwarded-For is accepted from a client with the front-proxy certificate
// of kube-apiserver. The header is ignored if the client has another certificate.
func TestTheFrontProxySaysForWhom(t *testing.T) {
	f, authority := newFinder(t, "10.0.0.0/8")
	other, err := localcluster.NewAuthority("front-proxy")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		authority localcluster.KeyPair
		cn        string
		forwarded string
		want      string
	}{
		"the front proxy": {authority, localcluster.FrontProxyName, "203.0.113.1", "203.0.113.1"},
		"forged addresses of its client": {authority, localcluster.FrontProxyName, "192.0.2.1, 203.0.113.1",
			"203.0.113.1"},
		"received from a trusted proxy": {authority, localcluster.FrontProxyName, "203.0.113.1, 10.1.2.3",
			"203.0.113.1"},
		"without a header":  {authority, localcluster.FrontProxyName, "", "198.51.100.9"},
		"another name":      {authority, "somebody", "203.0.113.1", "198.51.100.9"},
		"no name":           {authority, "", "203.0.113.1", "198.51.100.9"},
		"another authority": {other, localcluster.FrontProxyName, "203.0.113.1", "198.51.100.9"},
	} {
		t.Run(name, func(t *testing.T) {
			pair, err := tc.authority.IssueClient(tc.cn)
			if err != nil {
				t.Fatal(err)
			}
			block, _ := pem.Decode(pair.CertPEM)
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			r := requestFrom(t, stranger, tc.forwarded)
			r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}}
			if got := f.address(r); got.String() != tc.want {
				t.Errorf("it is %s, want %s", got, tc.want)
			}
		})
	}
}

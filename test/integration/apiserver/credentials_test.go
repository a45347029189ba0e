// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestWhatIsNoCredential verifies that the server rejects a password or token in the wrong place, for example an access
// token in a cookie.
func TestWhatIsNoCredential(t *testing.T) {
	a := newActor(t, "")
	account, err := env.Cluster.ServiceAccountConfig(t.Context(), "kubevision-system", "kubevision-apiserver")
	if err != nil {
		t.Fatal(err)
	}
	token := url.QueryEscape(a.AccessToken)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(a.Name+":"+a.Password))
	header := func(name, value string) wire.Request {
		return wire.Request{Path: wire.DirectPath + me, Header: http.Header{name: {value}}}
	}
	for name, r := range map[string]wire.Request{
		"?token=":         {Path: wire.DirectPath + me + "?token=" + token},
		"?access_token=":  {Path: wire.DirectPath + me + "?access_token=" + token},
		"?accessToken=":   {Path: wire.DirectPath + me + "?accessToken=" + token},
		"?Authorization=": {Path: wire.DirectPath + me + "?Authorization=Bearer%20" + token},
		"a user in the address": {Path: wire.DirectPath + me + "?username=" + a.Name + "&password=" +
			a.Password},
		"Basic": header("Authorization", basic),
		"Basic with a token": header("Authorization",
			"Basic "+base64.StdEncoding.EncodeToString([]byte("token:"+a.AccessToken))),
		"no scheme":          header("Authorization", a.AccessToken),
		"another scheme":     header("Authorization", "Token "+a.AccessToken),
		"an empty bearer":    header("Authorization", "Bearer "),
		"two bearers in one": header("Authorization", "Bearer "+a.AccessToken+", Bearer x"),
		"a cookie":           header("Cookie", "token="+a.AccessToken+"; access_token="+a.AccessToken),
		"a protocol of a websocket": header("Sec-WebSocket-Protocol",
			"base64url.bearer.authorization.k8s.io."+base64.RawURLEncoding.EncodeToString([]byte(a.AccessToken))),
		"X-Access-Token":                 header("X-Access-Token", a.AccessToken),
		"Proxy-Authorization":            header("Proxy-Authorization", "Bearer "+a.AccessToken),
		"the refresh token":              header("Authorization", "Bearer "+a.RefreshToken),
		"a Kubernetes service account":   header("Authorization", "Bearer "+account.BearerToken),
		"that in the header for a token": header(wire.TokenHeader, account.BearerToken),
	} {
		t.Run(name, func(t *testing.T) { direct(t).Call(t, r).Want(t, wire.Unauthenticated) })
	}
}

func TestWhatIsACredential(t *testing.T) {
	a := newActor(t, "")
	for name, header := range map[string]http.Header{
		"bearer":                  {"Authorization": {"Bearer " + a.AccessToken}},
		"bearer in small letters": {"authorization": {"bearer " + a.AccessToken}},
		"token header":            {wire.TokenHeader: {a.AccessToken}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := username(t, direct(t).Call(t,
				wire.Request{Path: wire.DirectPath + me, Header: header})); got != a.Name {
				t.Errorf("the caller is %s, want %s", got, a.Name)
			}
		})
	}
}

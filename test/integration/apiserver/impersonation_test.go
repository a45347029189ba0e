// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"net/http"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestInboundImpersonationIsRefused verifies that requests with any impersonation header are rejected. This includes
// headers in unusual spellings, and headers that the header Connection lists.
func TestInboundImpersonationIsRefused(t *testing.T) {
	a := newActor(t, "")
	client := direct(t)
	for _, name := range []string{
		"Impersonate-User", "Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-scopes", "Impersonate-Extra-",
		"Impersonate-Anything",
		"impersonate-user", "IMPERSONATE-USER", "iMPERSONATE-gROUP", "impersonate-EXTRA-Scopes.Example%2ecom",
	} {
		for how, header := range map[string]http.Header{
			"alone":                  {name: {"system:admin"}},
			"empty":                  {name: {""}},
			"twice":                  {name: {"", "system:admin"}},
			"as a connection option": {name: {"system:admin"}, "Connection": {name}},
			"as one of the options":  {name: {"system:admin"}, "Connection": {"keep-alive, " + name, "Authorization"}},
		} {
			for _, path := range []string{me, clusterList, onHost + "/resources/secrets", "/nothing"} {
				t.Run(name+" "+how+" "+path, func(t *testing.T) {
					for _, token := range []string{a.AccessToken, ""} {
						e := client.Call(t,
							wire.Request{Path: wire.DirectPath + path, Bearer: token, Header: header}).Want(t,
							wire.Invalid)
						if e.Meta.Field == "" {
							t.Errorf("meta.field does not name the header (%s)", e.Message)
						}
					}
				})
			}
		}
	}
}

// TestConnectionOptionsChangeNobody verifies that a client cannot change the authenticated user with the header
// Connection. Proxies remove the headers that Connection lists, for example X-Remote-User.
func TestConnectionOptionsChangeNobody(t *testing.T) {
	a := newActor(t, "")
	for _, option := range []string{"Impersonate-User", "Impersonate-Group", "X-Remote-User",
		"close, Impersonate-User"} {
		request := wire.Request{Path: wire.DirectPath + me, Bearer: a.AccessToken,
			Header: http.Header{"Connection": {option}}}
		if got := username(t, direct(t).Call(t, request)); got != a.Name {
			t.Errorf("with Connection: %s the caller is %s", option, got)
		}
	}
	// The proxy of kube-apiserver removes the listed headers. The caller remains the user of the client certificate.
	client := kube(t, "connected")
	for _, option := range []string{"X-Remote-User", "X-Remote-Group",
		"X-Remote-User, X-Remote-Group, X-Remote-Extra-Scopes"} {
		request := wire.Request{Path: wire.GroupPath + me,
			Header: http.Header{"Connection": {option}, "X-Remote-User": {"system:admin"},
				"X-Remote-Group": {"system:masters"}}}
		if got := username(t, client.Call(t, request)); got != "connected" {
			t.Errorf("with Connection: %s the caller is %s", option, got)
		}
	}
}

func TestImpersonationElsewhere(t *testing.T) {
	client := direct(t, admin())
	for _, path := range []string{"/metrics", "/apis", wire.GroupPath, "/openapi/v2", "/version"} {
		r := client.Send(t, wire.Request{Path: path, Header: http.Header{"Impersonate-User": {"system:anonymous"}}})
		if r.Status/100 != 4 {
			t.Errorf("%s: HTTP %d, want an error", path, r.Status)
		}
	}
}

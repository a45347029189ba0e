// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"net/http"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func (c *cast) authentication() map[string]probe {
	out := map[string]probe{}
	for name, token := range c.bad {
		out["a token "+name] = probe{want: wire.Unauthenticated, token: token, request: get("/clusters")}
	}
	for name, token := range c.expired {
		out["a token expired "+name] = probe{want: wire.TokenExpired, token: token, request: get("/clusters")}
		out["a token expired "+name+", elsewhere"] = probe{want: wire.TokenExpired, token: token,
			request: get(c.host() + "/resources/pods")}
	}
	for name, path := range map[string]string{
		"clusters": "/clusters", "who am I": "/users/me", "a list": c.host() + "/resources/pods",
		"an unknown path":      "/nothing/here",
		"a token in the query": "/users/me?token=" + c.logins[operator].AccessToken,
	} {
		out["nobody: "+name] = probe{want: wire.Unauthenticated, request: get(path)}
	}
	wrong := func(name, password string) probe {
		return probe{want: wire.Unauthenticated, public: true, request: fixture.LoginRequest("", name, password)}
	}
	out["a wrong password"] = wrong(c.users[member].Name, "wrong")
	out["an unknown user"] = wrong("nobody-of-that-name", "wrong")
	out["a user name that cannot be"] = wrong("../"+c.users[member].Name, c.users[member].Password)
	out["a disabled user"] = wrong(c.disabled.Name, c.disabled.Password)
	out["a wrong password before a second factor"] = wrong(c.required.Name, "wrong")
	out["a second factor due"] = probe{
		want: wire.TwoFactorRequired, public: true,
		request: fixture.LoginRequest("", c.required.Name, c.required.Password),
	}
	local := fixture.LoginRequest("", c.required.Name, c.required.Password)
	local.Body = local.Body[:len(local.Body)-1] + `,"provider":"local"}`
	for _, path := range []string{"/clusters", c.host() + "/resources/pods",
		"/clusters/conformance-none/resources/pods"} {
		out["before the second factor: "+path] = probe{want: wire.TwoFactorRequired, token: c.half, request: get(path)}
	}
	out["a second factor due, directory named"] = probe{want: wire.TwoFactorRequired, public: true, request: local}
	return out
}

func (c *cast) permissions() map[string]probe {
	asked := func(want int, as role, path string) probe { return probe{want: want, as: as, request: get(path)} }
	in := func(namespace string) string { return c.host() + "/namespaces/" + namespace + "/resources/" }
	return map[string]probe{
		"Secrets, as an onlooker":    asked(wire.Forbidden, member, in(c.own)+"secrets"),
		"one Secret, as an onlooker": asked(wire.Forbidden, member, in(c.own)+"secrets/x"),
		"nodes, from a namespace":    asked(wire.Forbidden, member, c.host()+"/resources/nodes"),
		"namespaces, as an onlooker": {
			want: wire.OK, as: member, request: get(c.host() + "/resources/namespaces"), namespaces: []string{c.own},
		},
		"roles, as an onlooker":        asked(wire.Forbidden, member, c.host()+"/resources/roles?namespace="+c.own),
		"a single forbidden namespace": asked(wire.Forbidden, member, c.host()+"/resources/namespaces/"+c.other),

		"a forbidden cluster": asked(wire.ClusterForbidden, member,
			"/clusters/"+c.hidden+"/resources/pods"),
		"a cluster that does not exist": asked(wire.ClusterForbidden, member,
			"/clusters/conformance-none/resources/pods"),
		"the host, bound nowhere":         asked(wire.ClusterForbidden, stranger, in(c.own)+"pods"),
		"an object there, bound nowhere":  asked(wire.ClusterForbidden, stranger, in(c.own)+"configmaps/"+c.config),
		"a bad kind there, bound nowhere": asked(wire.ClusterForbidden, stranger, c.host()+"/resources/nothings"),

		"a forbidden namespace": asked(wire.NamespaceForbidden, member, in(c.other)+"pods"),
		"a forbidden namespace in the query": asked(wire.NamespaceForbidden, member,
			c.host()+"/resources/pods?namespace="+c.other),
		"an object there": asked(wire.NamespaceForbidden, member,
			in(c.other)+"configmaps/kube-root-ca.crt"),
		"a namespace that does not exist": asked(wire.NamespaceForbidden, member, in("conformance-none")+"pods"),
		"an object of a missing namespace": asked(wire.NamespaceForbidden, member,
			in("conformance-none")+"configmaps/x"),
		"Secrets of the system": asked(wire.NamespaceForbidden, member, in(fixture.SystemNamespace)+"secrets"),
	}
}

func (c *cast) absences() map[string]probe {
	asked := func(want int, as role, path string) probe { return probe{want: want, as: as, request: get(path)} }
	by := func(method, path string) probe {
		return probe{want: wire.NotFound, as: operator, request: wire.Request{Method: method, Path: path}}
	}
	own := c.host() + "/namespaces/" + c.own + "/resources/"
	return map[string]probe{
		"an object that does not exist": asked(wire.NotFound, member, own+"configmaps/none"),
		"a kind that does not exist":    asked(wire.NotFound, member, own+"nothings"),
		"a kind of a missing group":     asked(wire.NotFound, operator, own+"pods.nothing.example.com"),
		"a namespace for the operator": asked(wire.NotFound, operator,
			c.host()+"/resources/namespaces/conformance-none"),
		"a kind that cannot be listed": asked(wire.NotFound, operator, c.host()+"/resources/tokenreviews"),
		"a path that does not exist":   asked(wire.NotFound, operator, "/nothing"),
		"a path below one that does":   asked(wire.NotFound, operator, "/users/me/nothing"),
		"a subresource":                asked(wire.NotFound, operator, own+"pods/x/log"),
		"PUT where there is GET":       by(http.MethodPut, "/users/me"),
		"DELETE where there is GET":    by(http.MethodDelete, "/clusters"),
		"PATCH of an object":           by(http.MethodPatch, "/clusters"),
		"GET where there is POST":      by(http.MethodGet, "/auth/login"),
		"a cluster that is not registered": asked(wire.ClusterNotFound, operator,
			"/clusters/conformance-none/resources/pods"),
		"an object of such a cluster": asked(wire.ClusterNotFound, operator,
			"/clusters/conformance-none/namespaces/x/resources/pods/x"),
	}
}

func (c *cast) failures() map[string]probe {
	return map[string]probe{
		"credentials that cannot be read": {
			want: wire.Internal, public: true, request: fixture.LoginRequest("", c.broken.Name, c.broken.Password),
		},
		"another password, with credentials that cannot be read": {
			want: wire.Internal, token: c.brokenSession, request: wire.Request{
				Method: http.MethodPut, Path: "/users/me/password",
				Body: `{"oldPassword":"` + c.broken.Password + `","newPassword":"four unrelated words here"}`,
			},
		},
		"a list of a cluster without connection": {
			want: wire.Unreachable, as: member, request: get("/clusters/" + c.remote + "/resources/pods"),
		},
		"an object of a cluster without connection": {
			want: wire.Unreachable, as: member,
			request: get("/clusters/" + c.remote + "/namespaces/x/resources/pods/x"),
		},
		"another such cluster": {
			want: wire.Unreachable, as: operator, request: get("/clusters/" + c.hidden + "/resources/nodes"),
		},
	}
}

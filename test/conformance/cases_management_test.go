// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"net/http"
	"strings"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func (c *cast) management() map[string]probe {
	out := map[string]probe{
		"one cluster, as its operator": {want: wire.OK, as: operator, request: get(c.host())},
		"one cluster, as an onlooker":  {want: wire.OK, as: member, request: get(c.host())},
		"the registration of a forbidden cluster": {want: wire.ClusterForbidden, as: member,
			request: get("/clusters/" + c.hidden)},
		"the registration of a missing cluster": {want: wire.ClusterForbidden, as: member,
			request: get("/clusters/conformance-none")},
		"such a cluster, the operator": {want: wire.ClusterNotFound, as: operator,
			request: get("/clusters/conformance-none")},
		"a user who does not exist": {want: wire.UserNotFound, as: operator, request: get("/users/conformance-none")},
		"a missing role binding": {want: wire.NotFound, as: operator,
			request: get("/role-bindings/conformance-none")},
		"a missing session": {want: wire.NotFound, as: operator, request: get("/sessions/conformance-none")},
		"a user who exists": {want: wire.OK, as: operator, request: get("/users/" + c.users[member].Name)},
	}
	for _, path := range []string{"/reset-2fa", "/revoke-sessions"} {
		out["a user who does not exist, POST "+path] = probe{
			want: wire.UserNotFound, as: operator,
			request: wire.Request{Method: http.MethodPost, Path: "/users/conformance-none" + path},
		}
	}
	for _, path := range []string{"/users", "/role-bindings", "/sessions"} {
		out["list "+path] = probe{want: wire.OK, as: operator, request: get(path)}
		for _, as := range []role{member, stranger} {
			out["list "+path+" as "+string(as)] = probe{want: wire.Forbidden, as: as, request: get(path)}
			out["one of "+path+" as "+string(as)] = probe{want: wire.Forbidden, as: as,
				request: get(path + "/conformance-none")}
		}
	}
	for name, field := range map[string]string{"users": "username", "clusters": "name", "role-bindings": "name"} {
		send := func(method, path, text string) wire.Request {
			return wire.Request{Method: method, Path: path, Body: text}
		}
		out["nothing of "+name] = probe{want: wire.Required, field: field, as: operator,
			request: send(http.MethodPost, "/"+name, "{}")}
		out["no body for "+name] = probe{want: wire.Required, field: "body", as: operator,
			request: send(http.MethodPost, "/"+name, "")}
		out["an unknown field of "+name] = probe{
			want: wire.Invalid, field: "uid", as: operator,
			request: send(http.MethodPost, "/"+name, `{"`+field+`":"x","uid":"x"}`),
		}
		out["a bad name of "+name] = probe{
			want: wire.Invalid, field: field, as: operator,
			request: send(http.MethodPost, "/"+name, `{"`+field+`":"No_Name"}`),
		}
		parameter := strings.TrimSuffix(strings.TrimPrefix(name, "role-"), "s")
		out["a bad name in the path of "+name] = probe{
			want: wire.Invalid, field: parameter, as: operator,
			request: send(http.MethodDelete, "/"+name+"/No_Name", ""),
		}
	}
	return out
}

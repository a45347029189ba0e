// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"net/http"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// conflicts returns write requests for users, clusters and role bindings that the server must reject. For example, an
// object with the same name exists, or the resource version is outdated.
func (c *cast) conflicts() map[string]probe {
	send := func(want int, method, path, text string) probe {
		return probe{want: want, as: operator, request: wire.Request{Method: method, Path: path, Body: text}}
	}
	binding := func(subject, role string) string {
		return `"subjects":[{"kind":"` + subject + `","name":"x"}],"roleRef":` + role + `,"clusters":{"names":["` +
			target.Host + `"]}`
	}
	const stale, readonly = `"resourceVersion":"1"`, `{"name":"readonly"}`
	user, cluster, bindings := c.users[member].Name, c.remote, "/role-bindings"
	return map[string]probe{
		"an existing user": send(wire.Conflict, http.MethodPost, "/users",
			`{"username":"`+user+`","password":"four unrelated words here"}`),
		"an existing cluster": send(wire.Conflict, http.MethodPost, "/clusters",
			`{"name":"`+cluster+`","authType":"in-cluster"}`),
		"an existing role binding": send(wire.Conflict, http.MethodPost, bindings,
			`{"name":"`+c.binding+`",`+binding("User", readonly)+`}`),

		"a user who has changed": send(wire.Stale, http.MethodPut, "/users/"+user,
			`{"displayName":"x",`+stale+`}`),
		"a cluster that has changed": send(wire.Stale, http.MethodPut, "/clusters/"+cluster,
			`{"displayName":"x",`+stale+`}`),
		"a newer role binding": send(wire.Stale, http.MethodPut, bindings+"/"+c.binding,
			`{`+stale+`,`+binding("User", readonly)+`}`),
		"a subject of an unknown kind": send(wire.Rejected, http.MethodPost, bindings,
			`{"name":"conformance-none",`+binding("Nobody", readonly)+`}`),
		"a role of an unknown kind": send(wire.Rejected, http.MethodPost, bindings,
			`{"name":"conformance-none",`+binding("User", `{"kind":"x","name":"x"}`)+`}`),
		"a change to an unknown kind": send(wire.Rejected, http.MethodPut, bindings+"/"+c.binding,
			`{`+binding("Nobody", readonly)+`}`),
		"a change of a missing object": send(wire.NotFound, http.MethodPut, bindings+"/conformance-none",
			`{`+binding("User", readonly)+`}`),
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"maps"
	"net/http"
	"strings"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// probe is a request and the expected response. want is the expected value of the field "code". The path of the request
// does not contain the base path of the API.
type probe struct {
	want int
	// field is the name of the invalid request field that the response is expected to report. "*" matches any name.
	field string
	// as contains the role of the caller. It is empty if the caller has no role.
	as role
	// token is an access token, for example a forged one. It has no effect if the field "as" contains a role. If both
	// fields are empty, the request is anonymous.
	token string
	// public is true for endpoints that require no credential.
	public bool
	// direct is true if the request can only be sent directly to kubevision-apiserver, because kube-apiserver would
	// rewrite or answer the request.
	direct bool
	// silent is true if the expected response is a success without data. explained is true if the response is a failure
	// whose data contain the reasons. itemized is true if the response is a failure whose data describe each object.
	silent, explained, itemized bool
	// namespaces contains the namespaces that a partial response is expected to cover.
	namespaces []string
	request    wire.Request
}

func login(body string) wire.Request {
	return wire.Request{Method: http.MethodPost, Path: "/auth/login", Body: body}
}

func get(path string) wire.Request { return wire.Request{Path: path} }

func (c *cast) probes() map[string]probe {
	out := map[string]probe{}
	for _, group := range []map[string]probe{
		c.successes(), c.parameters(), c.queries(), c.authentication(), c.permissions(), c.absences(), c.failures(),
		c.management(), c.conflicts(), c.writes(),
	} {
		maps.Copy(out, group)
	}
	return out
}

func (c *cast) successes() map[string]probe {
	return map[string]probe{
		"a login": {want: wire.OK, public: true,
			request: fixture.LoginRequest("", c.users[member].Name, c.users[member].Password)},
		"who am I":                  {want: wire.OK, as: member, request: get("/users/me")},
		"who am I, bound nowhere":   {want: wire.OK, as: stranger, request: get("/users/me")},
		"clusters":                  {want: wire.OK, as: operator, request: get("/clusters")},
		"an empty list of clusters": {want: wire.OK, as: stranger, request: get("/clusters")},
		"a list": {want: wire.OK, as: member,
			request: get(c.host() + "/namespaces/" + c.own + "/resources/configmaps")},
		"a list by query": {want: wire.OK, as: member,
			request: get(c.host() + "/resources/configmaps?namespace=" + c.own)},
		"a table": {want: wire.OK, as: member,
			request: get(c.host() + "/namespaces/" + c.own + "/resources/configmaps?view=table")},
		"a table of all namespaces": {want: wire.OK, as: member, namespaces: []string{c.own},
			request: get(c.host() + "/resources/configmaps?view=table&sortBy=name")},
		"an object": {want: wire.OK, as: member,
			request: get(c.host() + "/namespaces/" + c.own + "/resources/configmaps/" + c.config)},
		"an object by query": {want: wire.OK, as: member,
			request: get(c.host() + "/resources/configmaps/" + c.config + "?namespace=" + c.own)},
		"a cluster-scoped object": {want: wire.OK, as: operator,
			request: get(c.host() + "/resources/namespaces/" + c.other)},
		"nodes, with a namespace": {want: wire.OK, as: operator,
			request: get(c.host() + "/resources/nodes?namespace=" + c.own)},
		"a namespace in another": {
			want: wire.OK, as: operator,
			request: get(c.host() + "/resources/namespaces/" + c.own + "?namespace=" + c.other),
		},
		"an empty list": {want: wire.OK, as: member,
			request: get(c.host() + "/resources/deployments.v1.apps?namespace=" + c.own)},
	}
}

func (c *cast) host() string { return "/clusters/" + target.Host }

func (c *cast) parameters() map[string]probe {
	own := c.host() + "/namespaces/" + c.own + "/resources/"
	body := func(want int, field, text string) probe {
		return probe{want: want, field: field, public: true, request: login(text)}
	}
	other := func(contentType, text string) probe {
		p := body(wire.Invalid, "*", text)
		p.request.Header = http.Header{"Content-Type": {contentType}}
		return p
	}
	asked := func(field, path string) probe {
		return probe{want: wire.Invalid, field: field, as: operator, request: get(path)}
	}
	slash := asked("*", own+"pods/a%2fb")
	slash.direct = true
	return map[string]probe{
		"no body": {want: wire.Required, field: "body", public: true,
			request: wire.Request{Method: http.MethodPost, Path: "/auth/login"}},
		"a blank body":        body(wire.Required, "body", "  \n"),
		"no user name":        body(wire.Required, "username", `{"password":"x"}`),
		"an empty user name":  body(wire.Required, "username", `{"username":"","password":"x"}`),
		"a null user name":    body(wire.Required, "username", `{"username":null,"password":"x"}`),
		"no password":         body(wire.Required, "password", `{"username":"x"}`),
		"an empty password":   body(wire.Required, "password", `{"username":"x","password":""}`),
		"an empty object":     body(wire.Required, "username", `{}`),
		"not JSON":            body(wire.Invalid, "body", `username=x`),
		"half an object":      body(wire.Invalid, "body", `{"username":"x"`),
		"two objects":         body(wire.Invalid, "body", `{"username":"x","password":"x"}{}`),
		"an array":            body(wire.Invalid, "body", `[]`),
		"a number as a name":  body(wire.Invalid, "username", `{"username":1,"password":"x"}`),
		"an unknown field":    body(wire.Invalid, "*", `{"username":"x","password":"x","admin":true}`),
		"a field twice":       body(wire.Invalid, "username", `{"username":"x","username":"y","password":"x"}`),
		"a field in capitals": body(wire.Invalid, "*", `{"Username":"x","password":"x"}`),
		"an unknown directory": body(wire.Invalid, "provider",
			`{"username":"x","password":"x","provider":"directory"}`),
		"a body of 4 MiB":         body(wire.Invalid, "body", `{"username":"`+strings.Repeat("x", 4<<20)+`"}`),
		"deep nesting":            body(wire.Invalid, "body", strings.Repeat("[", 5000)+strings.Repeat("]", 5000)),
		"a form":                  other("application/x-www-form-urlencoded", "username=x&password=x"),
		"JSON that says text":     other("text/plain", `{"username":"x","password":"x"}`),
		"a media type of rubbish": other(";;;", `{"username":"x","password":"x"}`),

		"a bad cluster name":        asked("cluster", "/clusters/No_Name/resources/pods"),
		"a cluster name of spaces":  asked("cluster", "/clusters/%20/resources/pods"),
		"a bad namespace":           asked("namespace", c.host()+"/namespaces/No_Name/resources/pods"),
		"a bad namespace in query":  asked("namespace", c.host()+"/resources/pods?namespace=a%2Fb"),
		"a bad kind":                asked("resource", own+"Pods!"),
		"a kind with a capital":     asked("resource", own+"Pods"),
		"a bad object name":         asked("*", own+"pods/a%25b"),
		"an encoded slash":          slash,
		"a namespaced kind without": asked("namespace", c.host()+"/resources/pods/x"),
		"a cluster kind within":     asked("namespace", own+"nodes"),
		"an object of that":         asked("namespace", own+"nodes/x"),
	}
}

func (c *cast) queries() map[string]probe {
	asked := func(field, query string) probe {
		return probe{want: wire.Invalid, field: field, as: member,
			request: get(c.host() + "/namespaces/" + c.own + "/resources/pods?" + query)}
	}
	impersonated := asked("*", "")
	impersonated.request.Header = http.Header{"Impersonate-User": {"system:admin"}}
	impersonated.as, impersonated.public, impersonated.direct = "", true, true
	return map[string]probe{
		"a bad label selector":            asked("labelSelector", "labelSelector=a%3D%3D%3Db"),
		"a bad field selector":            asked("fieldSelector", "fieldSelector=x"),
		"an unsupported field selector":   asked("fieldSelector", "fieldSelector=spec.nothing%3Dx"),
		"a negative limit":                asked("limit", "limit=-1"),
		"a limit in words":                asked("limit", "limit=ten"),
		"a limit beyond all numbers":      asked("limit", "limit=99999999999999999999"),
		"a made-up continue":              asked("continue", "continue=rubbish"),
		"an unknown view":                 asked("view", "view=tree"),
		"another user's name in a header": impersonated,
	}
}

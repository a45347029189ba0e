// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func raw(t *testing.T, method, text string) *wire.Response {
	t.Helper()
	connection := direct(t).Dial(t)
	if _, err := io.WriteString(connection, text); err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, method, connection)
}

func readAnswer(t *testing.T, method string, connection io.Reader) *wire.Response {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(connection), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("reading the body of the answer: %v", err)
	}
	_ = answer.Body.Close()
	return &wire.Response{Status: answer.StatusCode, Protocol: answer.Proto, Header: answer.Header, Body: body}
}

// TestHostilePaths verifies that the server responds to malformed and misleading paths with an error, not a redirect.
func TestHostilePaths(t *testing.T) {
	a := newActor(t, "admin")
	for _, base := range []string{wire.DirectPath, wire.GroupPath} {
		for _, path := range []string{
			"//", "//clusters", "/clusters/", "/clusters//", "/users/me/", "/users//me", "/./clusters", "/../clusters",
			"/users/../clusters", "/users/me/..",
			"/..", "/../..", "/../v1/clusters", "/%2e/clusters", "/%2e%2e/clusters", "/users/%2E%2E/clusters",
			"/users%2fme", "/users%2Fme", "/users%5cme", `/users\me`,
			"/%252e%252e/clusters", "/users/me%00", "/users/me%0d%0aX-Injected:%20x", "/users/me%20", "/users/me%7f",
			"/clusters/%ff/resources/pods",
			"/clusters/host/resources/pods/..%2f..%2fsecrets", "/clusters/host/resources/pods/%2e%2e/secrets",
			"/clusters/host/resources/../resources/nodes",
			"/clusters/host/namespaces/default%2fpods/resources/pods", "/clusters/host/namespaces/../resources/nodes",
			"/users/me;x=y", "/clusters/host;x/resources/pods",
			"/%75sers/me%2f", "/clusters/host/resources/pods/" + strings.Repeat("a", 5000),
			"/" + strings.Repeat("a/", 2000),
		} {
			t.Run(base+" "+shortened(path), func(t *testing.T) {
				text := "GET " + base + path + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " +
					a.AccessToken + "\r\n\r\n"
				e := raw(t, http.MethodGet, text).Envelope(t)
				if !slices.Contains([]int{wire.Invalid, wire.NotFound}, e.Code) {
					t.Errorf("code %d (%s), want %d or %d", e.Code, e.Message, wire.Invalid, wire.NotFound)
				}
			})
		}
	}
}

func shortened(s string) string { return s[:min(len(s), 60)] }

// TestPathsBesideTheAPI verifies that paths that resemble the paths of the API neither return a response of the API,
// nor redirect to one.
func TestPathsBesideTheAPI(t *testing.T) {
	token := newActor(t, "admin").AccessToken
	for _, path := range []string{
		"//api/v1/clusters", "/api//v1/clusters", "/api/./v1/clusters", "/x/../api/v1/clusters", "/api/v1x/clusters",
		"/api/V1/clusters", "/api/v1.0/clusters",
		"/apis//dashboard.kubevision.io/v1alpha1/clusters", "//apis/dashboard.kubevision.io/v1alpha1/clusters",
		"/apis/dashboard.kubevision.io/v1alpha1x/clusters",
		"/healthz/../api/v1/clusters", "/apis/dashboard.kubevision.io/v1/clusters", "/api", "/api/",
		"/openapi/../api/v1/clusters", "/healthz/clusters",
	} {
		for name, client := range map[string]*wire.Client{"bearer": direct(t), "administrator": direct(t, admin())} {
			t.Run(name+" "+path, func(t *testing.T) {
				r := client.Send(t, wire.Request{Path: path, Bearer: token})
				if r.Status < 400 || r.Status >= 500 || r.Header.Get("Location") != "" {
					t.Errorf("HTTP %d, Location %q: %.200s", r.Status, r.Header.Get("Location"), r.Body)
				}
			})
		}
	}
}

func TestMethods(t *testing.T) {
	a := newActor(t, "")
	for _, path := range []string{me, onHost + "/api-resources", "/nothing"} {
		for _, method := range []string{"PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "POST", "BREW", "get", "PROPFIND",
			strings.Repeat("A", 300)} {
			direct(t).Call(t, wire.Request{Method: method, Path: wire.DirectPath + path, Bearer: a.AccessToken}).Want(t,
				wire.NotFound)
		}
		head := direct(t).Send(t, wire.Request{Method: http.MethodHead, Path: wire.DirectPath + path,
			Bearer: a.AccessToken})
		if err := head.CheckHeader(""); err != nil || len(head.Body) > 0 {
			t.Errorf("HEAD %s: %v, a body of %d bytes", path, err, len(head.Body))
		}
	}
	preflight := http.Header{"Origin": {"https://evil.example.com"}, "Access-Control-Request-Method": {"POST"}}
	r := direct(t).Send(t, wire.Request{Method: http.MethodOptions, Path: wire.DirectPath + "/auth/login",
		Header: preflight})
	r.Envelope(t)
	if r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another origin is allowed: %v", r.Header)
	}
}

// TestBodies verifies that the login endpoint responds to unusual, malformed and large request bodies with the correct
// code.
func TestBodies(t *testing.T) {
	good := fixture.LoginRequest(wire.DirectPath, "somebody", "wrong")
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := io.WriteString(w, good.Body); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	var bomb bytes.Buffer
	w = gzip.NewWriter(&bomb)
	if _, err := w.Write(make([]byte, 64<<20)); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	object := func(depth int) string { return strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth) }
	for name, tc := range map[string]struct {
		header http.Header
		body   string
		want   int
	}{
		"good":                   {nil, good.Body, wire.Unauthenticated},
		"with a byte order mark": {nil, "\ufeff" + good.Body, wire.Invalid},
		"a little over 3 MiB": {nil, `{"username":"` + strings.Repeat("x", 3<<20) + `","password":"x"}`,
			wire.Invalid},
		"a little under 3 MiB": {nil, `{"username":"` + strings.Repeat("x", 3<<20-64) + `","password":"x"}`,
			wire.Invalid},
		"20 MiB": {nil, strings.Repeat(" ", 20<<20), wire.Invalid},
		"gzip":   {http.Header{"Content-Encoding": {"gzip"}}, zipped.String(), wire.Invalid},
		"a bomb": {http.Header{"Content-Encoding": {"gzip"}}, bomb.String(), wire.Invalid},
		"YAML": {http.Header{"Content-Type": {"application/yaml"}}, "username: x\npassword: x",
			wire.Invalid},
		"protobuf": {http.Header{"Content-Type": {"application/vnd.kubernetes.protobuf"}},
			"k8s\x00", wire.Invalid},
		"multipart": {http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, "--x--",
			wire.Invalid},
		"no media type": {http.Header{"Content-Type": {""}}, good.Body, wire.Unauthenticated},
		"another character set": {http.Header{"Content-Type": {"application/json; charset=utf-16"}}, good.Body,
			wire.Unauthenticated},
		"objects in objects":            {nil, object(100_000), wire.Invalid},
		"arrays in arrays":              {nil, strings.Repeat("[", 1_000_000), wire.Invalid},
		"deep in a field":               {nil, `{"username":` + object(200) + `,"password":"x"}`, wire.Invalid},
		"the same key in other capital": {nil, `{"username":"x","USERNAME":"y","password":"x"}`, wire.Invalid},
		"the same key, escaped":         {nil, `{"username":"x","\u0075sername":"y","password":"x"}`, wire.Invalid},
		"not UTF-8":                     {nil, "{\"username\":\"\xff\",\"password\":\"x\"}", 0},
		"NUL in a string":               {nil, `{"username":"a\u0000b","password":"x\u0000"}`, wire.Unauthenticated},
		"a lone surrogate":              {nil, `{"username":"\ud800","password":"x"}`, wire.Invalid},
		"a password of 2 MiB": {nil, `{"username":"x","password":"` + strings.Repeat("x", 2<<20) + `"}`,
			wire.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			e := direct(t).Call(t, wire.Request{Method: http.MethodPost, Path: good.Path, Header: tc.header,
				Body: tc.body})
			if tc.want == 0 {
				if e.Code != wire.Invalid && e.Code != wire.Unauthenticated {
					t.Errorf("code %d (%s)", e.Code, e.Message)
				}
				return
			}
			e.Want(t, tc.want)
		})
	}
}

func TestHeaders(t *testing.T) {
	a := newActor(t, "")
	for name, header := range map[string]http.Header{
		"yaml":         {"Accept": {"application/yaml"}},
		"protobuf":     {"Accept": {"application/vnd.kubernetes.protobuf"}},
		"a table":      {"Accept": {"application/json;as=Table;v=v1;g=meta.k8s.io"}},
		"nothing":      {"Accept": {"*/*;q=0"}},
		"rubbish":      {"Accept": {"/;;,"}},
		"compressed":   {"Accept-Encoding": {"gzip"}},
		"a range":      {"Range": {"bytes=0-1"}},
		"if changed":   {"If-None-Match": {"*"}, "If-Modified-Since": {"Thu, 01 Jan 2099 00:00:00 GMT"}},
		"a request id": {"X-Request-Id": {"mine"}, "Audit-Id": {"mine"}},
		"an upgrade": {"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
			"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Version": {"13"}},
		"another method":    {"X-Http-Method-Override": {"DELETE"}},
		"another host":      {"X-Forwarded-Host": {"evil.example.com"}, "X-Forwarded-Prefix": {"/x"}},
		"many":              many(),
		"a continue please": {"Expect": {"100-continue"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{me, "/nothing"} {
				e := direct(t).Call(t, wire.Request{Path: wire.DirectPath + path, Bearer: a.AccessToken,
					Header: header})
				if e.Code != wire.OK && e.Code != wire.NotFound {
					t.Errorf("code %d (%s)", e.Code, e.Message)
				}
			}
		})
	}
}

func many() http.Header {
	h := http.Header{}
	for i := range 300 {
		h.Set(fmt.Sprintf("X-Header-%d", i), "value")
	}
	return h
}

func TestQueriesThatMeanSomethingToKubernetes(t *testing.T) {
	a := newActor(t, "readonly")
	for _, query := range []string{"watch=true", "watch=1&timeoutSeconds=1", "follow=true", "pretty=true", "dryRun=All",
		"timeout=0s", "timeout=20s", "allowWatchBookmarks=true", "resourceVersion=0"} {
		for _, path := range []string{me, clusterList, onHost + "/resources/nodes"} {
			direct(t).Call(t, wire.Request{Path: wire.DirectPath + path + "?" + query, Bearer: a.AccessToken}).Want(t,
				wire.OK)
		}
	}
	// The caller's short timeout is not an error of the server. Each response must be a single JSON object.
	for range 20 {
		for _, path := range []string{me, onHost + "/resources/nodes"} {
			direct(t).Call(t, wire.Request{Path: wire.DirectPath + path + "?timeout=1ms", Bearer: a.AccessToken})
		}
		hurried := fixture.LoginRequest(wire.DirectPath, a.Name, a.Password)
		hurried.Path += "?timeout=5ms"
		direct(t).Call(t, hurried)
	}
}

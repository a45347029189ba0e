// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

var pathParameter = regexp.MustCompile(`\{[^}]+\}`)

func publishedMethods(tb testing.TB) map[string][]string {
	tb.Helper()
	client := wire.Configured(tb, env.Cluster.Config())
	var response *wire.Response
	fixture.Eventually(tb, "wait for kube-apiserver to publish the API", func(ctx context.Context) (err error) {
		response, err = client.Do(ctx, wire.Request{Path: "/openapi/v3" + wire.GroupPath})
		if err == nil && response.Status != http.StatusOK {
			err = fmt.Errorf("HTTP %d: %.300s", response.Status, response.Body)
		}
		return err
	})
	var document struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(response.Body, &document); err != nil {
		tb.Fatal(err)
	}
	out := map[string][]string{}
	for path, operations := range document.Paths {
		for method := range operations {
			if slices.Contains([]string{"get", "post", "put", "patch", "delete", "head", "options"}, method) {
				out[path] = append(out[path], strings.ToUpper(method))
			}
		}
	}
	return out
}

// TestOpenAPIShowsTheAPI verifies that the document is not empty, because other tests depend on its content.
func TestOpenAPIShowsTheAPI(t *testing.T) {
	paths := publishedMethods(t)
	for path, method := range map[string]string{
		"/auth/login": http.MethodPost, "/users/me": http.MethodGet, "/clusters": http.MethodGet,
		"/clusters/{cluster}/resources/{resource}":                               http.MethodGet,
		"/clusters/{cluster}/resources/{resource}/{name}":                        http.MethodGet,
		"/clusters/{cluster}/namespaces/{namespace}/resources/{resource}":        http.MethodGet,
		"/clusters/{cluster}/namespaces/{namespace}/resources/{resource}/{name}": http.MethodGet,
	} {
		if !slices.Contains(paths[wire.GroupPath+path], method) {
			t.Errorf("%s %s is not published", method, path)
		}
	}
}

// TestNobodyGetsIn verifies that requests without a credential are rejected at all published paths and at some paths
// that are not published.
func TestNobodyGetsIn(t *testing.T) {
	client := direct(t)
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodTrace, "BREW"}
	public := func(method, path string) bool {
		logins := []string{"/auth/login", "/auth/refresh", "/auth/2fa/verify", "/auth/2fa/recovery"}
		settings := []string{"/auth/public-key/config", "/auth/oauth/providers"}
		return method == http.MethodPost && slices.Contains(logins, path) ||
			method == http.MethodGet && slices.Contains(settings, path)
	}
	asked := 0
	ask := func(path string) {
		for _, method := range methods {
			if public(method, path) {
				continue
			}
			for _, base := range []string{wire.GroupPath, wire.DirectPath} {
				asked++
				t.Run(method+" "+base+path, func(t *testing.T) {
					client.Call(t, wire.Request{Method: method, Path: base + path}).Want(t, wire.Unauthenticated)
				})
			}
		}
	}
	for path := range publishedMethods(t) {
		path = strings.TrimPrefix(pathParameter.ReplaceAllString(path, "x"), wire.GroupPath)
		if path != "/" && path != "" { // the discovery document of the group
			ask(path)
		}
	}
	for _, path := range []string{
		"/nothing", "/auth", "/auth/login2", "/auth/LOGIN", "/auth/login/x", "/auth/refresh", "/auth/2fa/verify",
		"/users", "/users/admin", "/sessions",
		"/role-bindings", "/clusters/x", "/clusters/x/namespaces/y", "/clusters/x/overview", "/watch/clusters",
		"/proxy/clusters", "/metrics",
		"/healthz", "/openapi/v3", "/debug/pprof", "/namespaces/default/pods", "/ws/watch", "/users/me?watch=true",
		"/clusters?timeout=1s",
	} {
		ask(path)
	}
	if asked < 100 {
		t.Errorf("only %d requests were made", asked)
	}
}

// TestTheBarePrefix verifies that the prefix that dashboards use does not serve Kubernetes' discovery.
func TestTheBarePrefix(t *testing.T) {
	if e := direct(t).Call(t, wire.Request{Path: wire.DirectPath}); e.Code != wire.Unauthenticated {
		t.Errorf("%s without a credential: code %d (%s)", wire.DirectPath, e.Code, e.Message)
	}
}

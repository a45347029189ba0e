// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// mount copies the directory testdata/page to a temporary directory, and returns the copy. The copy has the layout of a
// ConfigMap volume, in which all files are symbolic links.
func mount(tb testing.TB) string {
	tb.Helper()
	dir, source := tb.TempDir(), os.DirFS(filepath.Join("testdata", "page"))
	err := fs.WalkDir(source, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			folder := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Join(folder, "..1"), 0o750); err != nil {
				return err
			}
			return os.Symlink("..1", filepath.Join(folder, "..data"))
		}
		text, err := fs.ReadFile(source, name)
		if err != nil {
			return err
		}
		folder, base := filepath.Join(dir, path.Dir(name)), path.Base(name)
		if err := os.WriteFile(filepath.Join(folder, "..1", base), text, 0o600); err != nil {
			return err
		}
		return os.Symlink(filepath.Join("..data", base), filepath.Join(folder, base))
	})
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}

func withPage(tb testing.TB) *localcluster.APIServer {
	tb.Helper()
	replica, err := env.KubeVision.StartAPIServer(tb.Context(), 0, "--dashboard-dir="+mount(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = replica.Stop() })
	return replica
}

// TestDashboardDir verifies that a replica with the flag --dashboard-dir serves a dashboard and the API at one origin.
// The API must not allow requests from pages of other origins.
func TestDashboardDir(t *testing.T) {
	c, err := wire.New(withPage(t).Endpoint(), env.KubeVision.CAPEM())
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string, header ...string) *wire.Response {
		t.Helper()
		r := wire.Request{Path: path, Header: http.Header{
			"Accept": {"text/html,*/*;q=0.8"}, "Origin": {"https://example.com"},
		}}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return c.Send(t, r)
	}
	index := get("/")
	for _, path := range []string{"/", "/index.html", "/deployments/web.example.com", "/clusters"} {
		r := get(path)
		if r.Status != http.StatusOK || !bytes.Equal(r.Body, index.Body) ||
			r.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: status %d, %v", path, r.Status, r.Header)
		}
	}
	for _, part := range []string{"A small dashboard", "kubevision-qr.js"} {
		if !strings.Contains(string(index.Body), part) {
			t.Errorf("the index is %s", index.Body)
		}
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "dashboard.md"))
	if err != nil {
		t.Fatal(err)
	}
	policy := index.Header.Get("Content-Security-Policy")
	if !strings.Contains(strings.Join(strings.Fields(string(text)), " "), policy) {
		t.Errorf("docs/dashboard.md does not have the policy %q", policy)
	}
	r := get("/assets/page-T3stPag3.js", "Accept", "*/*")
	if r.Status != http.StatusOK || !strings.Contains(r.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("the script: status %d, %v", r.Status, r.Header)
	}
	c.Call(t, wire.Request{Path: wire.DirectPath + "/users/me"}).Want(t, wire.Unauthenticated)
	for path, status := range map[string]int{
		"/readyz": http.StatusOK, "/metrics": http.StatusForbidden, "/apis": http.StatusForbidden,
	} {
		if r := get(path); r.Status != status {
			t.Errorf("%s: status %d", path, r.Status)
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodOptions} {
		r := c.Send(t, wire.Request{Method: method, Path: wire.DirectPath + "/users/me", Header: http.Header{
			"Origin": {"https://example.com"}, "Access-Control-Request-Method": {"GET"},
			"Access-Control-Request-Headers": {"authorization"},
		}})
		for name := range r.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: another origin is allowed by %s", method, name)
			}
		}
	}
}

// TestReservedPaths verifies that kubevision-apiserver does not serve the dashboard at the paths of the API server,
// such as /healthz.
func TestReservedPaths(t *testing.T) {
	plain := env.Administrator(t)
	served, err := wire.New(withPage(t).Endpoint(), env.KubeVision.CAPEM())
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Paths []string `json:"paths"`
	}
	if err := json.Unmarshal(plain.Send(t, wire.Request{Path: "/"}).Body, &list); err != nil {
		t.Fatal(err)
	}
	const least = 20
	if len(list.Paths) < least {
		t.Errorf("only the paths %v are listed", list.Paths)
	}
	for _, path := range list.Paths {
		if r := served.Send(t, wire.Request{Path: path}); strings.Contains(string(r.Body), "A small dashboard") {
			t.Errorf("the page is served at %s", path)
		}
	}
}

// TestNoDashboard verifies that kubevision-apiserver serves no dashboard without the flag --dashboard-dir. If the
// directory in the flag has no index.html, kubevision-apiserver must not start.
func TestNoDashboard(t *testing.T) {
	c, err := wire.New(env.KubeVision.Endpoint(), env.KubeVision.CAPEM())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/index.html", "/kubevision-qr.js"} {
		if r := c.Send(t, wire.Request{Path: path}); r.Status != http.StatusForbidden {
			t.Errorf("%s: status %d", path, r.Status)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	replica, err := env.KubeVision.StartAPIServer(ctx, 0, "--dashboard-dir="+t.TempDir())
	if err == nil {
		_ = replica.Stop()
		t.Error("a replica starts without an index")
	} else if !strings.Contains(fmt.Sprint(err), "index.html") {
		t.Errorf("the error does not name the index: %v", err)
	}
}

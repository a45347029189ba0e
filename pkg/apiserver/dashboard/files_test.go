// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/pkg/apiserver/filters"
)

// mounted is a directory like the one that a kubelet creates for a ConfigMap volume. Its files are symbolic links into
// a second directory. An update of the ConfigMap replaces the second directory as a whole.
type mounted struct{ dir string }

const page1 = "<!doctype html>\n<html><head><title>one</title></head><body></body></html>"

func mount(t *testing.T) mounted {
	t.Helper()
	m := mounted{filepath.Join(t.TempDir(), "mount")}
	m.write(t, "..1/index.html", page1)
	m.write(t, "..1/app.js", "run()")
	m.write(t, "..1/logo.svg", "<svg/>")
	m.write(t, "assets/index-B9CIF_IH.js", "0123456789")
	m.write(t, ".git/config", "canary")
	m.write(t, "../outside.txt", "canary")
	m.link(t, "..1", "..data")
	for _, name := range []string{"index.html", "app.js", "logo.svg"} {
		m.link(t, "..data/"+name, name)
	}
	m.link(t, "../outside.txt", "escape.txt")
	m.link(t, filepath.Join(m.dir, "..1", "app.js"), "absolute.js")
	return m
}

func (m mounted) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (m mounted) link(t *testing.T, to, name string) {
	t.Helper()
	if err := os.Symlink(to, filepath.Join(m.dir, name)); err != nil {
		t.Fatal(err)
	}
}

// swap makes the symbolic links of the mounted directory point into the given folder, like an update of a ConfigMap.
func (m mounted) swap(t *testing.T, folder string) {
	t.Helper()
	m.link(t, folder, "..next")
	if err := os.Rename(filepath.Join(m.dir, "..next"), filepath.Join(m.dir, "..data")); err != nil {
		t.Fatal(err)
	}
}

func stranger(*http.Request) filters.Origin { return filters.Origin{Network: "192.0.2.0/24"} }

// handler returns a Files and an HTTP handler for the files in dir. The handler responds to requests for paths of the
// API with status 418.
func handler(t *testing.T, dir string) (*Files, http.Handler) {
	t.Helper()
	f, err := Open(dir, stranger)
	if err != nil {
		t.Fatal(err)
	}
	teapot := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	around := f.Wrap(teapot)
	return f, around
}

// ask sends a request to the handler h, like a browser that loads a script. The parameter header contains pairs of a
// name and a value, which can override the default header Accept.
func ask(t *testing.T, h http.Handler, method, target string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "/", http.NoBody)
	r.URL.Path = target
	r.Header.Set("Accept", "*/*")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1]) //nolint:gosec // names and values come in pairs
	}
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	return recorder.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const asPage = "text/html,application/xhtml+xml,*/*;q=0.8"

// TestFiles verifies the status, the content, the caching and the security headers of the response for each path. It
// also verifies that no path leads out of the directory with the files.
func TestFiles(t *testing.T) {
	_, h := handler(t, mount(t).dir)
	const immutable = "public, max-age=31536000, immutable"
	for _, c := range []struct {
		path, accept string
		status       int
		cache, has   string
	}{
		{"/", asPage, 200, "no-cache", "<title>one"},
		{"/index.html", "", 200, "no-cache", "<title>one"},
		{"/pods/web", "", 200, "no-cache", "<title>one"},
		{"/pods/web.example.com", asPage, 200, "no-cache", "<title>one"},
		{"/assets", asPage, 200, "no-cache", "<title>one"},
		{"/pods/", asPage, 200, "no-cache", "<title>one"},
		{"/apiserver", "", 200, "no-cache", "<title>one"},
		{"/app.js", "", 200, "no-cache", "run()"},
		{"/logo.svg", "", 200, "no-cache", "<svg/>"},
		{"/assets/index-B9CIF_IH.js", "", 200, immutable, "0123456789"},
		{"/kubevision-qr.js", "", 200, "no-cache", "otpauth"},
		{"/assets/index-B9CIF_IJ.js", "", 404, "no-store", "not found"},
		{"/app.js/x.js", "", 404, "no-store", "not found"},
		{"/escape.txt", "", 404, "no-store", "not found"},
		{"/absolute.js", "", 404, "no-store", "not found"},
		{"/.git/config", asPage, 404, "no-store", "not found"},
		{"/..data/app.js", asPage, 404, "no-store", "not found"},
		{"/../outside.txt", asPage, 404, "no-store", "not found"},
		{"/assets/../../outside.txt", asPage, 404, "no-store", "not found"},
		{"/assets/..\\..\\outside.txt", asPage, 404, "no-store", "not found"},
		{"/a\x00b", asPage, 404, "no-store", "not found"},
		{"//etc/passwd", "", 200, "no-cache", "<title>one"},
	} {
		header := []string{}
		if c.accept != "" {
			header = []string{"Accept", c.accept}
		}
		r := ask(t, h, http.MethodGet, c.path, header...)
		text := body(t, r)
		if r.StatusCode != c.status || r.Header.Get("Cache-Control") != c.cache || !strings.Contains(text, c.has) {
			t.Errorf("%q: status %d, %q, %.60q", c.path, r.StatusCode, r.Header.Get("Cache-Control"), text)
		}
		if strings.Contains(text, "canary") || r.Header.Get("Location") != "" {
			t.Errorf("%q leads out of the directory", c.path)
		}
		policy := r.Header.Get("Content-Security-Policy")
		if strings.Contains(policy, "http") || !strings.Contains(policy, "connect-src 'self'") ||
			r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%q: headers %v", c.path, r.Header)
		}
	}
}

// TestFilesLeaveTheAPI verifies that requests for paths of the API are not answered with files. It also verifies that
// the paths of files accept only GET and HEAD.
func TestFilesLeaveTheAPI(t *testing.T) {
	_, h := handler(t, mount(t).dir)
	for _, path := range []string{
		"/api", "/api/v1/users/me", "/apis", "/apis/x", "/openapi/v3", "/metrics", "/livez/ping", "/readyz", "/healthz",
		"/version", "/debug/pprof", "/.well-known/x",
	} {
		if r := ask(t, h, http.MethodGet, path, "Accept", asPage); r.StatusCode != http.StatusTeapot {
			t.Errorf("%s: status %d, not that of the API", path, r.StatusCode)
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "BREW"} {
		if r := ask(t, h, method, "/"); r.StatusCode != http.StatusMethodNotAllowed ||
			r.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: status %d, Allow %q", method, r.StatusCode, r.Header.Get("Allow"))
		}
	}
}

// TestConditions verifies the responses to HEAD requests, to range requests, and to requests with If-None-Match.
func TestConditions(t *testing.T) {
	m := mount(t)
	_, h := handler(t, m.dir)
	const hashedFile = "/assets/index-B9CIF_IH.js"
	r := ask(t, h, http.MethodHead, hashedFile)
	if text := body(t, r); r.StatusCode != http.StatusOK || text != "" || r.Header.Get("Content-Length") != "10" {
		t.Errorf("HEAD: %d %q %v", r.StatusCode, text, r.Header)
	}
	r = ask(t, h, http.MethodGet, hashedFile, "Range", "bytes=2-4")
	if text := body(t, r); r.StatusCode != http.StatusPartialContent || text != "234" {
		t.Errorf("a range: %d %q", r.StatusCode, text)
	}
	r = ask(t, h, http.MethodGet, hashedFile, "Range", "bytes=20-")
	if r.StatusCode != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("a range beyond the end: %d", r.StatusCode)
	}
	m.write(t, "..2/index.html", strings.ReplaceAll(page1, "one", "two"))
	m.write(t, "..2/app.js", "won()")
	for _, path := range []string{"/", "/app.js"} {
		tag := ask(t, h, http.MethodGet, path).Header.Get("ETag")
		if r = ask(t, h, http.MethodGet, path, "If-None-Match", tag); tag == "" ||
			r.StatusCode != http.StatusNotModified {
			t.Errorf("%s: tag %q, status %d", path, tag, r.StatusCode)
		}
		defer func() { //nolint:revive,gocritic // after the update below
			if r := ask(t, h, http.MethodGet, path, "If-None-Match", tag); r.StatusCode != http.StatusOK {
				t.Errorf("%s after an update: status %d", path, r.StatusCode)
			}
		}()
	}
	m.swap(t, "..2")
	if text := body(t, ask(t, h, http.MethodGet, "/x")); !strings.Contains(text, "<title>two") {
		t.Errorf("after an update: %q", text)
	}
}

// TestLargeFiles verifies that a file above the size limit is not served. It also verifies that a directory cannot be
// opened if its index.html is missing or too large.
func TestLargeFiles(t *testing.T) {
	m := mount(t)
	_, h := handler(t, m.dir)
	for name, size := range map[string]int64{"most.js": maxFileBytes, "more.js": maxFileBytes + 1} {
		m.write(t, name, "")
		if err := os.Truncate(filepath.Join(m.dir, name), size); err != nil {
			t.Fatal(err)
		}
	}
	if r := ask(t, h, http.MethodHead, "/most.js"); r.StatusCode != http.StatusOK {
		t.Errorf("the largest file: status %d", r.StatusCode)
	}
	r := ask(t, h, http.MethodGet, "/more.js", "Accept", asPage)
	if text := body(t, r); r.StatusCode != http.StatusNotFound || !strings.Contains(text, "larger") {
		t.Errorf("a larger file: %d %q", r.StatusCode, text)
	}
	if err := os.Truncate(filepath.Join(m.dir, "..1", "index.html"), maxIndexBytes+1); err != nil {
		t.Fatal(err)
	}
	if r := ask(t, h, http.MethodGet, "/"); r.StatusCode != http.StatusInternalServerError {
		t.Errorf("a large index: status %d", r.StatusCode)
	}
	if _, err := Open(m.dir, stranger); err == nil {
		t.Error("a directory with a large index is opened")
	}
	if _, err := Open(t.TempDir(), stranger); err == nil {
		t.Error("a directory without an index is opened")
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none"), stranger); err == nil {
		t.Error("a directory that is not there is opened")
	}
}

// TestResponsesAreBounded verifies the memory limits for responses that contain files:
//   - Responses to one network use at most half of the available memory.
//   - Networks from which a user is logged in have separate memory, which other networks cannot use.
func TestResponsesAreBounded(t *testing.T) {
	f, h := handler(t, mount(t).dir)
	const all = maxResponseBytes / responseBytes
	hold := func(from filters.Origin) (held int) {
		f.room.origin = func(*http.Request) filters.Origin { return from }
		for {
			if _, err := f.room.enter(nil); err != nil {
				return held
			}
			held++
		}
	}
	if held := hold(filters.Origin{Network: "a"}); held != all/2 {
		t.Errorf("one network holds %d of %d", held, all)
	}
	r := ask(t, h, http.MethodGet, "/")
	if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("one more of that network: status %d", r.StatusCode)
	}
	for i := 0; f.room.strangers.Used() < maxResponseBytes; i++ { // each network gets half of the free memory
		hold(filters.Origin{Network: strconv.Itoa(i)})
	}
	f.room.origin = func(*http.Request) filters.Origin { return filters.Origin{Network: "b", Known: true} }
	if r := ask(t, h, http.MethodGet, "/"); r.StatusCode != http.StatusOK {
		t.Errorf("a known network: status %d", r.StatusCode)
	}
	if used := f.room.known.Used(); used != 0 {
		t.Errorf("%d bytes are held afterwards", used)
	}
}

// TestSlowReaders verifies that the server aborts a response if the client does not read the response in time.
func TestSlowReaders(t *testing.T) {
	m := mount(t)
	f, h := handler(t, m.dir)
	m.write(t, "large.js", "")
	if err := os.Truncate(filepath.Join(m.dir, "large.js"), maxFileBytes); err != nil {
		t.Fatal(err)
	}
	const patience = 200 * time.Millisecond
	f.room.sendTime, f.room.sendRate = patience, maxFileBytes+1
	server := httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	roots := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs //nolint:errcheck // it is one
	for name, client := range map[string]*http.Client{"HTTP/2": server.Client(),
		"HTTP/1.1": {Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots},
			TLSNextProto:    map[string]func(string, *tls.Conn) http.RoundTripper{},
		}}} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/large.js", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if response.Proto[:6] != name[:6] || f.room.strangers.Used() == 0 {
			t.Errorf("%s: the response is %s, and %d bytes are held", name, response.Proto, f.room.strangers.Used())
		}
		deadline := time.Now().Add(100 * patience) // a busy machine may need long
		for f.room.strangers.Used() != 0 {
			if time.Now().After(deadline) {
				t.Fatalf("%s: the response goes on", name)
			}
			time.Sleep(patience / 10)
		}
		if _, err := io.Copy(io.Discard, response.Body); err == nil {
			t.Errorf("%s: the response was taken for whole", name)
		}
		_ = response.Body.Close()
	}
}

// TestHashed verifies that hasHashedName recognizes file names that contain a hash. JavaScript bundlers create such
// names.
func TestHashed(t *testing.T) {
	for name, want := range map[string]bool{
		"assets/index-B9CIFXIH.js": true, "assets/a-b_C-d1.css": false, "assets/index-Ab_C-d1x.css": true,
		"main.3f2a9c1b.js":                 true,
		"static/js/main.3f2a9c1b.chunk.js": true, "User-Manual-Overview.pdf": false, "app-settings.json": false,
		"main.3f2a9c1b77aa0011.js.map": true, "chunk-TQXHZ2AB.js": true,
		"app.js": false, "logo-kubevision.svg": false, "report-20240101.pdf": false, "index.html": false,
		"apple-touch-icon-precomposed.png": false, "assets/inter-latin-wght-normal-Dx4kXJAl.woff2": true,
	} {
		if got := hasHashedName(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// TestScript verifies that the script element for kubevision-qr.js is inserted at the beginning of the head of an HTML
// page. A page without a head is not changed.
func TestScript(t *testing.T) {
	const tag = `<script src="/kubevision-qr.js"></script>`
	for page, want := range map[string]string{
		"<html><HEAD><script>": "<html><HEAD>" + tag + "<script>", "<html>": "<html>", "": "",
	} {
		if got := string(withScript([]byte(page))); got != want {
			t.Errorf("%q becomes %q", page, got)
		}
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dashboard serves the files of a single-page application at the same origin as the API.
package dashboard

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the directive go:embed
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"k8s.io/klog/v2"

	"github.com/kubevision-io/kubevision/pkg/apiserver/filters"
)

const (
	indexFile = "index.html"
	// scriptPath is the path of a script that shows the QR code for the set-up of a second factor.
	scriptPath = "/kubevision-qr.js"

	// maxIndexBytes bounds the size of index.html, in bytes.
	maxIndexBytes = 1 << 20
	// maxFileBytes bounds the size of each file except index.html, in bytes.
	maxFileBytes = 16 << 20
)

//go:embed qr.js
var script []byte

// errTooLarge is returned for a file that exceeds its size limit.
var errTooLarge = errors.New("the file exceeds the size limit")

// errNoFile is returned for a path that is not a regular file.
var errNoFile = errors.New("not a file")

// Files serves the files of a directory.
type Files struct {
	root *os.Root
	room *responseSpace
}

// Open returns Files that serve the directory dir. It returns an error if the directory has no index.html. Symbolic
// links that lead out of the directory are not served. The function origin returns an Origin, which contains the
// network of the client. The number of concurrent responses to clients in the same network is limited.
func Open(dir string, origin func(*http.Request) filters.Origin) (*Files, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the directory of the dashboard: %w", err)
	}
	f := &Files{root: root, room: newResponseSpace(origin)}
	if _, err := f.index(); err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("reading %s of the dashboard: %w", indexFile, err)
	}
	return f, nil
}

// Wrap returns a handler that calls next for the paths of the API server, and serves files for all other paths.
func (f *Files) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if IsReserved(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		f.serve(w, r)
	})
}

// IsReserved returns true for the paths that belong to the API server, such as the API, discovery, health and metrics.
func IsReserved(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch first {
	case "api", "apis", "openapi", "version", "metrics", "healthz", "livez", "readyz", "debug", "statusz", "flagz",
		"configz", "logs", ".well-known":
		return true
	default:
		return false
	}
}

func (f *Files) serve(w http.ResponseWriter, r *http.Request) {
	setPolicy(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the dashboard is read only", http.StatusMethodNotAllowed)
		return
	}
	leave, err := f.room.enter(r)
	if err != nil {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many files are being sent: try again in a second", http.StatusServiceUnavailable)
		return
	}
	defer leave()
	name := strings.TrimPrefix(r.URL.Path, "/")
	switch {
	case name == "" || name == indexFile:
		f.serveIndex(w, r)
	case r.URL.Path == scriptPath:
		f.serveText(w, r, "qr.js", script)
	case isHidden(name):
		notFound(w, "not found")
	default:
		f.serveFile(w, r, name)
	}
}

// isHidden returns true for a path that must not be served, because it contains a control character, a backslash, or a
// segment that begins with a dot.
func isHidden(name string) bool {
	if strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' }) {
		return true
	}
	for segment := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(segment, ".") {
			return true
		}
	}
	return false
}

func (f *Files) serveFile(w http.ResponseWriter, r *http.Request, name string) {
	file, info, err := f.open(name)
	switch {
	case errors.Is(err, errTooLarge):
		notFound(w, fmt.Sprintf("the file is larger than %d bytes", maxFileBytes))
		return
	case err != nil && isPageRequest(r):
		f.serveIndex(w, r)
		return
	case err != nil:
		notFound(w, "not found")
		return
	}
	defer func() { _ = file.Close() }()
	changed := info.ModTime()
	w.Header().Set("Content-Type", contentType(name))
	if hasHashedName(name) {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		tag, err := entityTag(file)
		if err != nil {
			klog.FromContext(r.Context()).Error(err, "A file of the dashboard cannot be read", "name", name)
			http.Error(w, "the file cannot be read", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", tag)
		changed = time.Time{} // two versions of a file may have the same modification time
	}
	f.room.within(w, info.Size(), func() { http.ServeContent(w, r, name, changed, file) })
}

// open opens a regular file of at most maxFileBytes. It returns an error for any other file without opening it, because
// a pipe would block the request.
func (f *Files) open(name string) (*os.File, fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, nil, fs.ErrNotExist
	}
	info, err := f.root.Stat(name)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("looking for the file: %w", err)
	case !info.Mode().IsRegular():
		return nil, nil, errNoFile
	case info.Size() > maxFileBytes:
		return nil, nil, errTooLarge
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the file: %w", err)
	}
	return file, info, nil
}

// isPageRequest returns true if the server must respond with index.html when the requested file does not exist. This is
// so if the request accepts text/html, or if the last segment of the path has no dot.
func isPageRequest(r *http.Request) bool {
	last := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	return strings.Contains(r.Header.Get("Accept"), "text/html") || !strings.Contains(last, ".")
}

func (f *Files) serveIndex(w http.ResponseWriter, r *http.Request) {
	text, err := f.index()
	if err != nil {
		klog.FromContext(r.Context()).Error(err, "The index of the dashboard cannot be read")
		http.Error(w, "the dashboard cannot be read", http.StatusInternalServerError)
		return
	}
	f.serveText(w, r, indexFile, withScript(text))
}

func (f *Files) index() ([]byte, error) {
	file, _, err := f.open(indexFile)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxIndexBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the file: %w", err)
	}
	if len(text) > maxIndexBytes {
		return nil, errTooLarge
	}
	return text, nil
}

// withScript inserts a script element for scriptPath at the beginning of the head element. If the text does not contain
// the tag <head>, withScript returns the text unchanged.
func withScript(text []byte) []byte {
	const head = "<head>"
	at := bytes.Index(bytes.ToLower(text), []byte(head))
	if at < 0 {
		return text
	}
	at += len(head)
	return bytes.Join([][]byte{text[:at], text[at:]}, []byte(`<script src="`+scriptPath+`"></script>`))
}

// serveText serves a text that browsers must revalidate before each use.
func (f *Files) serveText(w http.ResponseWriter, r *http.Request, name string, text []byte) {
	sum := sha256.Sum256(text)
	w.Header().Set("Content-Type", contentType(name))
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", quoted(sum[:]))
	f.room.within(w, int64(len(text)), func() { http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(text)) })
}

// entityTag returns the ETag for the content of a file. It reads the whole file, and goes back to the beginning.
func entityTag(file io.ReadSeeker) (string, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", fmt.Errorf("reading the file: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("going back to the beginning of the file: %w", err)
	}
	return quoted(sum.Sum(nil)), nil
}

func quoted(sum []byte) string { return `"` + hex.EncodeToString(sum[:16]) + `"` }

func notFound(w http.ResponseWriter, message string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, message, http.StatusNotFound)
}

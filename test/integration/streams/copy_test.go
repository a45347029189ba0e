// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

type copyFrame struct {
	Type, Data, Reason                    string
	Bytes, Files, Skipped, Size, MaxBytes int64
}

// openCopy opens a stream that copies a file to or from a container. Like a browser, openCopy authenticates with a
// ticket in the URL.
func (p person) openCopy(tb testing.TB, namespace, query string) *socket {
	tb.Helper()
	ticket := p.ticket(tb, `{"cluster":"`+host+`","namespace":"`+namespace+`","pod":"web","verb":"copy"}`)
	return open(tb, p.client, wire.Request{Path: p.base + ofPod(namespace, "web", "copy?"+query+"&ticket="+ticket)})
}

func (s *socket) sendFile(tb testing.TB, content []byte) {
	tb.Helper()
	for len(content) > 0 {
		n := min(len(content), 48<<10)
		if err := s.WriteMessage(websocket.BinaryMessage, content[:n]); err != nil {
			return // the server has ended the copy with a reason
		}
		content = content[n:]
	}
	_ = s.WriteMessage(websocket.TextMessage, []byte(`{"type":"end"}`)) // as above
}

// finish reads messages until the server has finished copying files. It returns the content of the files, and the JSON
// messages as frames.
func (s *socket) finish(tb testing.TB) (content []byte, frames []copyFrame) {
	tb.Helper()
	for {
		message := s.next(tb)
		var f copyFrame
		if message[0] != '{' || json.Unmarshal(message, &f) != nil || f.Type == "" {
			content = append(content, message...)
			continue
		}
		if frames = append(frames, f); f.Type == "close" {
			return content, frames
		}
	}
}

func random(n int) []byte {
	out := make([]byte, n)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(out) // never fails
	return out
}

// newCopyPod creates a Pod, an empty directory in the container, and a user who may run commands in the Pod.
func newCopyPod(tb testing.TB) (p person, namespace, dir string) {
	tb.Helper()
	p, namespace = inNamespace(tb, "dev")
	runs(tb, namespace, "web", nil, "main")
	// The container can use this directory, because the simulated kubelet runs commands on this machine.
	dir = filepath.Join(env.Cluster.PodsDir(), namespace, "web")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	return p, namespace, dir
}

// TestCopyOfAFile verifies the copying of a single file:
//   - A file can be copied to a container and from a container.
//   - The server reports the progress.
//   - An incomplete copy does not change an existing file.
func TestCopyOfAFile(t *testing.T) {
	p, namespace, dir := newCopyPod(t)
	path, content := filepath.Join(dir, "-data; touch x"), random(3<<20)
	query := "to=" + url.QueryEscape(path) + fmt.Sprint("&size=", len(content))
	up := p.openCopy(t, namespace, query)
	up.sendFile(t, content)
	_, frames := up.finish(t)
	first, last := frames[0], frames[len(frames)-1]
	if first.Type != "info" || first.MaxBytes != copyLimit || len(frames) < 3 || last.Reason != "done" ||
		last.Bytes != int64(len(content)) || last.Files != 1 {
		t.Errorf("the frames are %+v", frames)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes have arrived (%v)", len(got), err)
	}
	got, frames := p.openCopy(t, namespace, "from="+url.QueryEscape(path)).finish(t)
	if last := frames[len(frames)-1]; !bytes.Equal(got, content) || last.Reason != "done" ||
		last.Size != int64(len(content)) {
		t.Errorf("%d bytes have come back, and the end is %+v", len(got), last)
	}
	if err := os.Symlink(filepath.Base(path), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if got, _ := p.openCopy(t, namespace, "from="+url.QueryEscape(dir+"/link")).finish(t); !bytes.Equal(got, content) {
		t.Errorf("%d bytes come through a link", len(got))
	}

	for name, cut := range map[string]func(*socket){
		"the client vanishes": func(s *socket) { _ = s.NetConn().Close() },
		"too short":           func(s *socket) { s.send(t, fields{"type": "end"}) },
		"too long":            func(s *socket) { s.sendFile(t, append([]byte("x"), content...)) },
	} {
		s := p.openCopy(t, namespace, query)
		if err := s.WriteMessage(websocket.BinaryMessage, []byte("other")); err != nil {
			t.Fatal(err)
		}
		cut(s)
		<-s.ended
		fixture.Eventually(t, name, func(context.Context) error {
			return onlyFiles(dir, "-data; touch x", "link")
		})
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: the file before is gone (%v)", name, err)
		}
	}
}

func onlyFiles(dir string, names ...string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var found []string
	for _, e := range entries {
		found = append(found, e.Name())
	}
	if strings.Join(found, "\n") != strings.Join(names, "\n") {
		return fmt.Errorf("the files are %q", found)
	}
	return nil
}

// TestCopyOfADirectory verifies the copying of a directory as a tar archive:
//   - An archive can be copied to a container and from a container.
//   - Symbolic links are omitted.
//   - A file name that leads out of the directory ends the copy.
func TestCopyOfADirectory(t *testing.T) {
	p, namespace, dir := newCopyPod(t)
	into := filepath.Join(dir, "in")
	if err := os.Mkdir(into, 0o700); err != nil {
		t.Fatal(err)
	}
	query := url.QueryEscape(into) + "&format=tar"
	up := p.openCopy(t, namespace, "to="+query)
	up.sendFile(t, tarOf(t, "sub/-file", "link -> /etc", "sub/other"))
	if _, frames := up.finish(t); frames[len(frames)-1].Reason != "done" || frames[len(frames)-1].Skipped != 1 {
		t.Errorf("the frames are %+v", frames)
	}
	if err := errors.Join(onlyFiles(into, "sub"), onlyFiles(into+"/sub", "-file", "other")); err != nil {
		t.Error(err)
	}
	if err := os.Symlink("/etc/passwd", into+"/passwd"); err != nil {
		t.Fatal(err)
	}
	content, frames := p.openCopy(t, namespace, "from="+query).finish(t)
	if last := frames[len(frames)-1]; last.Reason != "done" || last.Skipped != 1 || last.Files != 2 {
		t.Errorf("the end is %+v", last)
	}
	var names []string
	archive := tar.NewReader(bytes.NewReader(content))
	for h, err := archive.Next(); !errors.Is(err, io.EOF); h, err = archive.Next() {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
	if got := strings.Join(names, " "); got != "./ sub/ sub/-file sub/other" && got != "./ sub/ sub/other sub/-file" {
		t.Errorf("the archive has %q", got)
	}
	evil := p.openCopy(t, namespace, "to="+query)
	evil.sendFile(t, tarOf(t, "good", "../evil"))
	if _, frames := evil.finish(t); frames[len(frames)-1].Reason != "malformed" {
		t.Errorf("the frames are %+v", frames)
	}
	if err := onlyFiles(dir, "in"); err != nil {
		t.Error(err)
	}
}

func tarOf(tb testing.TB, names ...string) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range names {
		name, to, isLink := strings.Cut(name, " -> ")
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(name))}
		if isLink {
			h = &tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to}
		}
		if err := w.WriteHeader(h); err != nil {
			tb.Fatal(err)
		}
		if !isLink {
			if _, err := io.WriteString(w, name); err != nil {
				tb.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func TestRefusedCopies(t *testing.T) {
	p, namespace, dir := newCopyPod(t)
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 1<<40); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]string{large: "larger", dir: "tar", dir + "/none": "tar has failed"} {
		content, frames := p.openCopy(t, namespace, "from="+url.QueryEscape(from)).finish(t)
		if last := frames[len(frames)-1]; len(content) > 0 || last.Reason == "done" ||
			!strings.Contains(last.Data, want) {
			t.Errorf("%s: %d bytes, and the end is %+v", from, len(content), last)
		}
	}
	path := ofPod(namespace, "web", "copy?from=/etc/hostname")
	tooLarge := p.get(ofPod(namespace, "web", fmt.Sprint("copy?to=/x&size=", copyLimit+1)))
	refused(t, p.client, tooLarge).Want(t, wire.Invalid)
	refused(t, p.client, p.get(ofPod(namespace, "web", "copy?from=/../x"))).Want(t, wire.Invalid)
	exec := p.ticket(t, `{"verb":"exec"}`)
	refused(t, p.client, wire.Request{Path: p.base + path + "&ticket=" + exec}).Want(t, wire.Unauthenticated)
	reader := bound(t, "readonly", namespace)
	refused(t, reader.client, reader.get(path)).Want(t, wire.Forbidden)
	// The right is revoked while the copy waits for the client.
	s := p.openCopy(t, namespace, "to="+url.QueryEscape(dir+"/new")+"&size=10")
	s.isAlive(t)
	p.unbind(t)
	if _, reason := s.awaitEnd(t, promptly); reason != "forbidden" {
		t.Errorf("the reason is %q", reason)
	}
}

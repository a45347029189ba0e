// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package recording

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

func newStore(t *testing.T, o Options) *Store {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 30
	}
	s, err := NewStore(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func key(b byte) []byte { return bytes.Repeat([]byte{b}, keyBytes) }

func record(t *testing.T, s *Store, text ...string) string {
	t.Helper()
	r, err := s.Begin(Terminal{User: "jane", Pod: "web", Command: []string{"sh"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range text {
		if err := r.Output([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(r.Resize(100, 30), r.Close()); err != nil {
		t.Fatal(err)
	}
	found, _, err := s.List(t.Context(), 0, 1)
	if err != nil || len(found) != 1 {
		t.Fatalf("%v (%v)", found, err)
	}
	return found[0].ID
}

func read(t *testing.T, s *Store, id string) (string, error) {
	text, err := s.Open(t.Context(), id)
	if err != nil {
		return "", err
	}
	defer func() { _ = text.Close() }()
	all, err := io.ReadAll(text)
	return string(all), err
}

// TestFormat verifies that a recording has the file format of asciinema. A character whose bytes arrive in two writes
// is recorded as a whole.
func TestFormat(t *testing.T) {
	for name, keys := range map[string][][]byte{"plain": nil, "encrypted": {key(1)}} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, Options{Keys: keys, MaxAge: time.Hour})
			id := record(t, s, "a<b\n", "caf\xc3", "\xa9\xff")
			text, err := read(t, s, id)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(text), "\n")
			var first map[string]any
			if err := json.Unmarshal([]byte(lines[0]), &first); err != nil || first["version"] != 2.0 ||
				first["width"] != 80.0 || first["height"] != 24.0 {
				t.Errorf("the header is %s (%v)", lines[0], err)
			}
			var shown, kinds strings.Builder
			for _, line := range lines[1:] {
				var event []any
				if err := json.Unmarshal([]byte(line), &event); err != nil || len(event) != 3 {
					t.Fatalf("the event is %s (%v)", line, err)
				}
				kind, isText := event[1].(string)
				data, isData := event[2].(string)
				if !isText || !isData {
					t.Fatalf("the event is %s", line)
				}
				kinds.WriteString(kind)
				if kind == eventOutput {
					shown.WriteString(data)
				}
			}
			if shown.String() != "a<b\ncafé\uFFFD" || kinds.String() != "ooor" {
				t.Errorf("it shows %q, %s", shown.String(), kinds.String())
			}
			summary, err := s.Get(t.Context(), id)
			if err != nil || summary.User != "jane" || summary.Part != 1 || summary.Expires.IsZero() {
				t.Errorf("the summary is %+v (%v)", summary, err)
			}
		})
	}
}

// TestEncryption verifies that:
//
//   - An encrypted recording contains no plain text.
//   - An encrypted recording can be read only with its key.
//   - A modified recording is rejected.
func TestEncryption(t *testing.T) {
	s := newStore(t, Options{Keys: [][]byte{key(1)}})
	id := record(t, s, strings.Repeat("secret", flushBytes), "second", "third")
	path := filepath.Join(s.options.Dir, id+suffix)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"secret", `"jane"`, `"web"`} { // a shorter text may occur by chance
		if bytes.Contains(raw, []byte(word)) {
			t.Errorf("the file contains %q", word)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != fileMode {
		t.Errorf("the mode is %v (%v)", info.Mode(), err)
	}
	rotated := newStore(t, Options{Dir: s.options.Dir, Keys: [][]byte{key(2), key(1)}})
	if _, err := read(t, rotated, id); err != nil {
		t.Errorf("with an older key: %v", err)
	}
	other := newStore(t, Options{})
	plain := record(t, other, "invented")
	err = os.Rename(filepath.Join(other.options.Dir, plain+suffix), filepath.Join(s.options.Dir, plain+suffix))
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]bool{id: true, plain: false} { // a key does not hide plain recordings
		if summary, err := s.Get(t.Context(), file); err != nil || summary.Encrypted != want {
			t.Errorf("%s: %+v (%v)", file, summary, err)
		}
	}
	wrong := newStore(t, Options{Dir: s.options.Dir, Keys: [][]byte{key(2)}})
	if _, err := read(t, wrong, id); !errors.Is(err, ErrUnreadable) {
		t.Errorf("with another key: %v", err)
	}
	last := len(raw) - 20 // the last chunk has 4 + 16 bytes
	for name, changed := range map[string][]byte{
		"a bit":    slices.Concat(raw[:len(raw)-30], []byte{raw[len(raw)-30] ^ 1}, raw[len(raw)-29:]),
		"appended": append(bytes.Clone(raw), raw[last:]...),
		"moved":    append(bytes.Clone(raw[:len(magic)+saltBytes]), raw[last:]...),
		"length":   append(bytes.Clone(raw[:len(magic)+saltBytes]), 0xff, 0xff, 0xff, 0xff),
	} {
		if err := os.WriteFile(path, changed, fileMode); err != nil {
			t.Fatal(err)
		}
		if _, err := read(t, s, id); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A killed program has not written the last chunk. The existing chunks can still be read.
	if err := os.WriteFile(path, raw[:last], fileMode); err != nil {
		t.Fatal(err)
	}
	if text, err := read(t, s, id); err != nil || !strings.Contains(text, "third") {
		t.Errorf("without the last chunk: %d bytes (%v)", len(text), err)
	}
}

// TestCopiedRecording verifies that a copy of an encrypted recording is unreadable if the name of the copied file
// contains a different recording ID. The test copies a complete recording and an incomplete one.
func TestCopiedRecording(t *testing.T) {
	s := newStore(t, Options{Keys: [][]byte{key(1)}})
	id := record(t, s, "secret")
	raw, err := os.ReadFile(filepath.Join(s.options.Dir, id+suffix))
	if err != nil {
		t.Fatal(err)
	}
	for copied, text := range map[string][]byte{
		"20260102t030405-complete": raw, "20260102t030405-begun": raw[:len(raw)-20],
	} {
		if err := os.WriteFile(filepath.Join(s.options.Dir, copied+suffix), text, fileMode); err != nil {
			t.Fatal(err)
		}
		if text, err := read(t, s, copied); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %q (%v)", copied, text, err)
		}
		if summary, err := s.Get(t.Context(), copied); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %+v (%v)", copied, summary, err)
		}
	}
	if _, err := read(t, s, id); err != nil {
		t.Errorf("the original: %v", err)
	}
}

// TestBounds verifies that:
//
//   - The total size of all recordings is limited.
//   - A long recording continues in another file.
//   - Old recordings are deleted.
func TestBounds(t *testing.T) {
	s := newStore(t, Options{})
	piece := strings.Repeat("x", 32<<10)
	r, err := s.Begin(Terminal{})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 << 5 {
		if err := r.Output([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	found, total, err := s.List(t.Context(), 0, 10)
	if err != nil || total != 2 || found[0].Part+found[1].Part != 3 ||
		max(found[0].Bytes, found[1].Bytes) > MaxFileBytes {
		t.Errorf("%+v (%v)", found, err)
	}
	if page, _, err := s.List(t.Context(), 1, 1); err != nil || len(page) != 1 {
		t.Errorf("a page is %+v (%v)", page, err)
	}
	full := newStore(t, Options{Dir: s.options.Dir, MaxBytes: 20 << 20})
	if _, err := full.Begin(Terminal{}); !errors.Is(err, ErrFull) || !errors.Is(full.Check(t.Context()), ErrFull) {
		t.Errorf("a full directory: %v", err)
	}
	small := newStore(t, Options{MaxBytes: 2 << 20})
	if r, err = small.Begin(Terminal{}); err != nil {
		t.Fatal(err)
	}
	for range 3 << 5 {
		err = r.Output([]byte(piece))
	}
	if !errors.Is(err, ErrFull) || r.Output([]byte("x")) == nil {
		t.Errorf("beyond the bound: %v", err)
	}
	past := time.Now().Add(-time.Hour)
	for i := range found {
		if err := os.Chtimes(filepath.Join(s.options.Dir, found[i].ID+suffix), past, past); err != nil {
			t.Fatal(err)
		}
	}
	aged := newStore(t, Options{Dir: s.options.Dir, MaxAge: time.Minute})
	if err := aged.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, total, err := aged.List(t.Context(), 0, 10); err != nil || total != 0 {
		t.Errorf("%d old recordings (%v)", total, err)
	}
}

// TestFailure verifies that the function set with OnFailure is called if pending events cannot be written. The call
// does not wait for another event. Further events are rejected.
func TestFailure(t *testing.T) {
	s := newStore(t, Options{})
	r, err := s.Begin(Terminal{})
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	r.OnFailure(func(err error) { failed <- err })
	if err := errors.Join(r.file.finish(), r.Output([]byte("x"))); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-failed:
		if err == nil {
			t.Error("the failure has no error")
		}
	case <-time.After(10 * flushInterval):
		t.Error("nothing is reported")
	}
	if r.Output([]byte("y")) == nil {
		t.Error("further events are accepted")
	}
}

// TestIDs verifies that the ID of a recording cannot select another file. The test uses IDs that are paths, and an ID
// whose file is a symbolic link.
func TestIDs(t *testing.T) {
	s := newStore(t, Options{})
	id := record(t, s, "x")
	if err := os.Symlink("/etc/passwd", filepath.Join(s.options.Dir, "20260101t000000-a"+suffix)); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", "..", "../x", "x/y", id + "/", id + suffix, "20260101t000000-a", "1"} {
		if _, err := s.Get(t.Context(), id); err == nil {
			t.Errorf("%q is read", id)
		}
		if _, err := s.Open(t.Context(), id); err == nil {
			t.Errorf("%q is opened", id)
		}
	}
}

func TestParseKeys(t *testing.T) {
	line := base64.StdEncoding.EncodeToString(key(1))
	for text, want := range map[string]int{
		line: 1, line + "\n\n " + line + "\n": 2, "": 0, "x": 0, line[:20]: 0, line + line: 0,
	} {
		keys, err := ParseKeys([]byte(text))
		if len(keys) != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d keys (%v)", text, len(keys), err)
		}
	}
	_, err := ParseKeys([]byte(line + "\n\nx\n"))
	if err == nil || err.Error() != "line 3 must contain a key of 32 bytes in base64" {
		t.Errorf("a malformed line after an empty line: %v", err)
	}
}

// TestListsAreCharged verifies that the memory of a list of recordings is charged to the account of the user. A list
// that needs more memory than the limit of the account is rejected.
func TestListsAreCharged(t *testing.T) {
	s := newStore(t, Options{})
	for range 3 {
		record(t, s, "x")
	}
	shared := budget.NewShared(budget.Options{Total: 1 << 20, Step: 1})
	for limit, want := range map[int64]error{1 << 20: nil, 2 * listedBytes: budget.ErrExceeded} {
		account := shared.Account("jane", limit)
		_, total, err := s.List(budget.WithAccount(t.Context(), account), 0, 10)
		if !errors.Is(err, want) || err == nil && (total != 3 || shared.Used() < 3*listedBytes) {
			t.Errorf("%d bytes: %d recordings, %d bytes are charged (%v)", limit, total, shared.Used(), err)
		}
		account.Close()
	}
}

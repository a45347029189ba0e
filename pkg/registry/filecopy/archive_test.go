// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filecopy

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/registry/podaccess"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

func archive(tb testing.TB, headers ...tar.Header) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := range headers {
		h := &headers[i]
		h.Mode = 0o4755
		if h.Typeflag == tar.TypeReg && h.Size == 0 {
			h.Size = int64(len(h.Name))
		}
		if err := w.WriteHeader(h); err != nil {
			tb.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, h.Name); err != nil {
				tb.Fatal(err)
			}
		}
	}
	_ = w.Close() // Some archives are incomplete.
	return out.Bytes()
}

func names(raw []byte, maxBytes int64) (found []string, skipped int64, err error) {
	from := newEntries(bytes.NewReader(raw), &limits{bytes: maxBytes})
	for {
		h, err := from.next()
		if errors.Is(err, io.EOF) {
			return found, from.skipped, nil
		}
		if err != nil {
			return found, from.skipped, err
		}
		if h.Mode&^0o777 != 0 {
			return found, from.skipped, errors.New("the mode gives the rights of another user")
		}
		found = append(found, h.Name)
		if err := from.copyTo(io.Discard); err != nil {
			return found, from.skipped, err
		}
	}
}

// TestArchivesThatAreRefused verifies that an archive is rejected if a name is outside its directory, if it is
// malformed, or if its content exceeds the limit.
func TestArchivesThatAreRefused(t *testing.T) {
	file := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg} }
	truncated := archive(t, file("a"), file(strings.Repeat("b", 90)))
	for name, test := range map[string]struct {
		raw    []byte
		reason streams.Reason
	}{
		"parent":        {archive(t, file("../evil")), streams.Malformed},
		"parent inside": {archive(t, file("a/../../evil")), streams.Malformed},
		"absolute":      {archive(t, file("/etc/passwd")), streams.Malformed},
		"backslash":     {archive(t, file(`..\evil`)), streams.Malformed},
		"control":       {archive(t, file("a\nb")), streams.Malformed},
		"escape":        {archive(t, file("a\x1b[2Jb")), streams.Malformed},
		"parent of a directory": {
			archive(t, tar.Header{Name: "../evil/", Typeflag: tar.TypeDir}), streams.Malformed,
		},
		"parent of a link": {
			archive(t, tar.Header{Name: "../evil", Typeflag: tar.TypeSymlink, Linkname: "x"}), streams.Malformed,
		},
		"large":       {archive(t, tar.Header{Name: "a", Typeflag: tar.TypeReg, Size: 1 << 40}), streams.TooLarge},
		"many":        {archive(t, file("a"), file("b"), file("c"), file("d")), streams.TooLarge},
		"no archive":  {bytes.Repeat([]byte("x"), 2048), streams.Malformed},
		"truncated":   {truncated[:1100], streams.Malformed},
		"long header": {archive(t, file("a/"+strings.Repeat("b", maxHeaderBytes))), streams.Malformed},
		"sparse": {
			archive(t, tar.Header{Name: "a", Typeflag: tar.TypeReg, PAXRecords: map[string]string{"comment": "x"}}),
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			raw := test.raw
			if test.reason == "" { // the tar writer cannot create sparse files
				raw = bytes.Replace(raw, []byte("11 comment="), []byte("11 GNU.spa="), 1)
				_, _, err := names(raw, 2000)
				if err == nil && !isSparse(&tar.Header{PAXRecords: map[string]string{"GNU.sparse.major": "1"}}) {
					t.Error("a file with holes is accepted")
				}
				return
			}
			found, _, err := names(raw, 2000)
			end, ok := errors.AsType[*streams.End](err)
			if !ok || end.Reason != test.reason {
				t.Errorf("the names are %q, and the error is %v", found, err)
			}
		})
	}
}

// TestLinksAreLeftOut verifies that links and devices are omitted, so that nothing can be written through them.
func TestLinksAreLeftOut(t *testing.T) {
	raw := archive(t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir},
		tar.Header{Name: "./link", Typeflag: tar.TypeSymlink, Linkname: "/etc"},
		tar.Header{Name: "./hard", Typeflag: tar.TypeLink, Linkname: "../../etc/passwd"},
		tar.Header{Name: "./null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3},
		tar.Header{Name: "./pipe", Typeflag: tar.TypeFifo},
		tar.Header{Name: "./file", Typeflag: tar.TypeReg},
	)
	found, skipped, err := names(raw, 1<<20)
	if err != nil || skipped != 4 || strings.Join(found, " ") != "./ file" {
		t.Errorf("%q, and %d left out (%v)", found, skipped, err)
	}
}

// TestRequests verifies the validation of paths and sizes.
func TestRequests(t *testing.T) {
	for query, want := range map[string]string{
		"from=/data/x": "/data/x", "from=/data//x/": "/data/x", "to=/data/x&size=10": "/data/x",
		"from=/&format=tar": "/", "to=/data&format=tar": "/data", "to=/data/x&size=11": "",
		"from=/data/x&to=/data/y": "", "": "", "from=data/x": "", "from=/data/../x": "", "from=/": "",
		"to=/data/x": "", "to=/data/x&size=-1": "", "from=/x&format=zip": "", "from=/x%00": "",
		"from=/x&container=..": "",
	} {
		parsed, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		q := &request{Access: &podaccess.Access{Call: clusters.Call{}}}
		if err := q.parse(parsed, 10); (err == nil) != (want != "") || err == nil && q.path != want {
			t.Errorf("%s: %q (%v)", query, q.path, err)
		}
	}
}

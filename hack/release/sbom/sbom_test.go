// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package sbom

import (
	"bytes"
	"os"
	"regexp"
	"testing"
	"time"
)

// TestDescribe describes the program of this test, which contains no module but the standard library.
func TestDescribe(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path) //nolint:gosec // this program
	if err != nil {
		t.Fatal(err)
	}
	programs := []Program{{Name: "first-linux-amd64", Content: content}, {Name: "second-linux-arm64", Content: content}}
	var encoded [][]byte
	for range 2 {
		d, err := Describe(programs, "v1.2.3", time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		out, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		encoded = append(encoded, out)
		known := map[string]bool{documentID: true}
		valid := regexp.MustCompile(`^SPDXRef-[a-zA-Z0-9.-]+$`)
		for _, p := range d.Packages {
			if known[p.SPDXID] || !valid.MatchString(p.SPDXID) {
				t.Errorf("the identifier %s is there twice or invalid", p.SPDXID)
			}
			known[p.SPDXID] = true
		}
		for _, r := range d.Relationships {
			if !known[r.Element] || !known[r.Related] {
				t.Errorf("%+v refers to nothing", r)
			}
		}
		if len(d.Packages) < 3 {
			t.Errorf("there are %d packages", len(d.Packages))
		}
	}
	if !bytes.Equal(encoded[0], encoded[1]) {
		t.Error("two documents of the same programs differ")
	}
	if _, err := Describe([]Program{{Name: "text", Content: []byte("text")}}, "v1", time.Unix(0, 0)); err == nil {
		t.Error("a file without build information is described")
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package sbom

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDescribe verifies that Describe returns a reproducible SPDX document with unique and valid identifiers. Each
// relationship must refer to a known identifier. Describe must reject a file that is not a Go program.
func TestDescribe(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
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

// TestModules verifies that a document lists each module of a program with its version, lists the replacement of a
// replaced module, and contains the checksum of the program.
func TestModules(t *testing.T) {
	content := []byte("program")
	sum := sha256.Sum256(content)
	info := &debug.BuildInfo{GoVersion: "go1.26.1", Deps: []*debug.Module{
		{Path: "example.com/One", Version: "v1.0.0"},
		{
			Path: "example.com/two", Version: "v2.0.0",
			Replace: &debug.Module{Path: "example.com/fork", Version: "v2.0.1"},
		},
	}}
	d, modules := &Document{}, map[string]bool{}
	for _, name := range []string{"first", "second"} {
		d.add(Program{Name: name, Content: content}, hex.EncodeToString(sum[:]), "v1.2.3", info, modules)
	}
	var got []string
	for _, p := range d.Packages {
		words := []string{p.Name, p.VersionInfo}
		for _, c := range p.Checksums {
			words = append(words, c.Algorithm+":"+c.Value)
		}
		for _, r := range p.ExternalRefs {
			words = append(words, r.Locator)
		}
		got = append(got, strings.Join(words, " "))
	}
	of := " v1.2.3 SHA256:" + hex.EncodeToString(sum[:])
	want := []string{
		"first" + of, "stdlib 1.26.1 pkg:golang/stdlib@1.26.1",
		"example.com/One v1.0.0 pkg:golang/example.com/one@v1.0.0",
		"example.com/fork v2.0.1 pkg:golang/example.com/fork@v2.0.1", "second" + of,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	const related = 2 * (1 + 3) // each program and its modules
	if len(d.Relationships) != related {
		t.Errorf("there are %d relationships", len(d.Relationships))
	}
}

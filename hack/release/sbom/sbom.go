// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sbom writes the SPDX bill of materials of Go programs. It uses the build information that the programs
// contain.
package sbom

import (
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

const (
	documentID   = "SPDXRef-DOCUMENT"
	noAssertion  = "NOASSERTION"
	standardName = "stdlib"
)

// Document is an SPDX document of version 2.3.
type Document struct {
	SPDXVersion       string         `json:"spdxVersion"`
	DataLicense       string         `json:"dataLicense"`
	SPDXID            string         `json:"SPDXID"`
	Name              string         `json:"name"`
	DocumentNamespace string         `json:"documentNamespace"`
	CreationInfo      CreationInfo   `json:"creationInfo"`
	Packages          []Package      `json:"packages"`
	Relationships     []Relationship `json:"relationships"`
}

// CreationInfo contains the time and the tool with which a document was created.
type CreationInfo struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

// Package is a program, or a Go module that a program contains.
type Package struct {
	SPDXID           string        `json:"SPDXID"`
	Name             string        `json:"name"`
	VersionInfo      string        `json:"versionInfo"`
	DownloadLocation string        `json:"downloadLocation"`
	FilesAnalyzed    bool          `json:"filesAnalyzed"`
	LicenseConcluded string        `json:"licenseConcluded"`
	LicenseDeclared  string        `json:"licenseDeclared"`
	CopyrightText    string        `json:"copyrightText"`
	PrimaryPurpose   string        `json:"primaryPackagePurpose"`
	Checksums        []Checksum    `json:"checksums,omitempty"`
	ExternalRefs     []ExternalRef `json:"externalRefs,omitempty"`
}

// Checksum is the hash of a program.
type Checksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

// ExternalRef is the package URL of a module.
type ExternalRef struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

// Relationship relates two elements of a document.
type Relationship struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

// Program is a compiled program, and the name that the document uses for it.
type Program struct {
	Name    string
	Content []byte
}

// Describe returns an SPDX document that lists the given programs and their Go modules. All programs have the given
// version.
func Describe(programs []Program, version string, at time.Time) (*Document, error) {
	d := &Document{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: documentID, Name: "kubevision-" + version,
		CreationInfo: CreationInfo{
			Created:  at.UTC().Format(time.RFC3339),
			Creators: []string{"Organization: The KubeVision Authors", "Tool: hack/release"},
		},
	}
	modules := map[string]bool{}
	content := sha256.New()
	for _, p := range programs {
		info, err := buildinfo.Read(strings.NewReader(string(p.Content)))
		if err != nil {
			return nil, fmt.Errorf("read the build information of %s: %w", p.Name, err)
		}
		sum := sha256.Sum256(p.Content)
		content.Write(sum[:])
		d.add(p, hex.EncodeToString(sum[:]), version, info, modules)
	}
	d.DocumentNamespace = "https://github.com/kubevision-io/kubevision/spdx/" + version + "-" +
		hex.EncodeToString(content.Sum(nil))[:16]
	slices.SortFunc(d.Packages, func(a, b Package) int { return cmp.Compare(a.SPDXID, b.SPDXID) })
	return d, nil
}

func (d *Document) add(p Program, sum, version string, info *debug.BuildInfo, modules map[string]bool) {
	program := Package{
		SPDXID: id("Program", p.Name, ""), Name: p.Name, VersionInfo: version, DownloadLocation: noAssertion,
		LicenseConcluded: "Apache-2.0", LicenseDeclared: "Apache-2.0",
		CopyrightText:  "Copyright The KubeVision Authors",
		PrimaryPurpose: "APPLICATION", Checksums: []Checksum{{Algorithm: "SHA256", Value: sum}},
	}
	d.Packages = append(d.Packages, program)
	d.relate(documentID, "DESCRIBES", program.SPDXID)
	standard := &debug.Module{Path: standardName, Version: strings.TrimPrefix(info.GoVersion, "go")}
	for _, m := range append([]*debug.Module{standard}, info.Deps...) {
		if m.Replace != nil {
			m = m.Replace
		}
		module := id("Module", m.Path, m.Version)
		if !modules[module] {
			modules[module] = true
			d.Packages = append(d.Packages, modulePackage(module, m))
		}
		d.relate(program.SPDXID, "CONTAINS", module)
	}
}

func (d *Document) relate(element, kind, related string) {
	d.Relationships = append(d.Relationships, Relationship{Element: element, Type: kind, Related: related})
}

func modulePackage(id string, m *debug.Module) Package {
	location := noAssertion
	if m.Path != standardName {
		location = "https://proxy.golang.org/" + m.Path + "/@v/" + m.Version + ".zip"
	}
	return Package{
		SPDXID: id, Name: m.Path, VersionInfo: m.Version, DownloadLocation: location,
		LicenseConcluded: noAssertion, LicenseDeclared: noAssertion, CopyrightText: noAssertion,
		PrimaryPurpose: "LIBRARY",
		ExternalRefs: []ExternalRef{{
			Category: "PACKAGE-MANAGER", Type: "purl",
			Locator: "pkg:golang/" + strings.ToLower(m.Path) + "@" + m.Version,
		}},
	}
}

// id returns an identifier with only the characters that SPDX allows.
func id(kind, name, version string) string {
	allowed := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-':
			return r
		}
		return '-'
	}
	out := "SPDXRef-" + kind + "-" + strings.Map(allowed, filepath.ToSlash(name))
	if version != "" {
		out += "-" + strings.Map(allowed, version)
	}
	return out
}

// Encode returns the document as indented JSON.
func (d *Document) Encode() ([]byte, error) {
	out, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the bill of materials: %w", err)
	}
	return append(out, '\n'), nil
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
)

// maxDocuments bounds the number of YAML documents in a text.
const maxDocuments = 1000

// document is one YAML document of a manifest. A manifest may contain several documents.
type document struct {
	text []byte
	// lines is the number of lines of the manifest that precede the document.
	lines int
}

// split splits text into its YAML documents, at lines with the markers --- and "...". It omits documents without
// content. Directives (lines that begin with %) belong to the document that follows them.
func split(text []byte) ([]document, error) {
	var (
		out     []document
		current = document{}
		begin   int
		scan    scanned
	)
	finish := func(end int) {
		if current.text = text[begin:end]; scan.content {
			out = append(out, current)
		}
	}
	for at, line := 0, 0; at < len(text); line++ {
		end := at + 1 + bytes.IndexByte(text[at:], '\n')
		if end == at {
			end = len(text)
		}
		kind := kindOf(text[at:end])
		if kind == lineBegin && !scan.onlyDirectives() {
			finish(at)
			begin, current, scan = at, document{lines: line}, scanned{}
		}
		scan.see(kind, text[at:end])
		if kind == lineEnd {
			finish(end)
			begin, current, scan = end, document{lines: line + 1}, scanned{}
		}
		if len(out) > maxDocuments {
			break
		}
		at = end
	}
	finish(len(text))
	if len(out) > maxDocuments {
		return nil, unparseable("there are more than %d documents", maxDocuments)
	}
	return out, nil
}

type lineKind int

const (
	lineContent lineKind = iota
	lineBlank
	lineDirective
	lineBegin
	lineEnd
)

const (
	beginMarker = "---"
	endMarker   = "..."
)

func kindOf(line []byte) lineKind {
	trimmed := bytes.TrimSpace(line)
	switch {
	case marks(line, beginMarker):
		return lineBegin
	case marks(line, endMarker):
		return lineEnd
	case len(trimmed) == 0 || trimmed[0] == '#':
		return lineBlank
	case line[0] == '%':
		return lineDirective
	default:
		return lineContent
	}
}

// marks returns true if line begins with marker, followed by a blank or the end of the line.
func marks(line []byte, marker string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(marker))
	return ok && (len(rest) == 0 || bytes.ContainsAny(rest[:1], " \t\r\n"))
}

// scanned records what split has found in the current document so far: directives, the marker ---, and content.
type scanned struct {
	directives, begun, content bool
}

func (s *scanned) see(kind lineKind, line []byte) {
	switch kind {
	case lineBegin:
		s.begun = true
		rest := bytes.TrimSpace(line[len(beginMarker):])
		s.content = s.content || (len(rest) > 0 && rest[0] != '#')
	case lineDirective:
		s.directives = !s.begun && !s.content
		s.content = s.content || s.begun // after the marker it is not a directive
	case lineContent:
		s.content = true
	case lineBlank, lineEnd:
	}
}

func (s *scanned) onlyDirectives() bool { return s.directives && !s.begun && !s.content }

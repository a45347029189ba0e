// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	yamlv4 "go.yaml.in/yaml/v4"
	kjson "sigs.k8s.io/json"
)

// Errors contain a position, a reason, and at most the name of a key. They do not quote other parts of the text,
// because the text may contain secrets.

var (
	yamlLine  = regexp.MustCompile(`line (\d+)`)
	yamlField = regexp.MustCompile(`key "[^"]{1,64}" already set`)
)

// invalidYAML returns the error for a document that the YAML parser has rejected with err.
func (d document) invalidYAML(err error) error {
	return unparseable("the manifest is not valid YAML: %s", d.reason(err))
}

func (d document) reason(err error) string {
	if line, column, why, ok := d.diagnose(); ok {
		return fmt.Sprintf("%s: %s", place(line+d.lines, column), why)
	}
	where := "unknown line"
	if found := yamlLine.FindStringSubmatch(err.Error()); found != nil {
		where = "line " + d.lineInManifest(found[1])
	}
	if field := yamlField.FindString(err.Error()); field != "" {
		return field + " in " + where
	}
	return "error near " + where
}

// lineInManifest converts the decimal number of a line in the document to the number of this line in the manifest.
func (d document) lineInManifest(decimal string) string {
	var number int
	if _, err := fmt.Sscan(decimal, &number); err != nil {
		return decimal
	}
	return strconv.Itoa(number + d.lines)
}

func place(line, column int) string { return fmt.Sprintf("line %d, column %d", line, column) }

// diagnose parses the document again with version 4 of the YAML library, because the errors of version 4 contain a line
// and a column. ok is false if version 4 reports no error with a position.
func (d document) diagnose() (line, column int, why string, ok bool) {
	loader, err := yamlv4.NewLoader(bytes.NewReader(d.text))
	for err == nil {
		var node yamlv4.Node
		err = loader.Load(&node)
	}
	found, ok := errors.AsType[*yamlv4.LoadError](err)
	if !ok || errors.Is(err, io.EOF) || found.Mark.Line < 1 {
		return 0, 0, "", false
	}
	return found.Mark.Line, found.Mark.Column, safeReason(found), true
}

// safeReason returns why the YAML is invalid. The result does not quote the document, which may contain secrets.
func safeReason(e *yamlv4.LoadError) string {
	switch {
	case e.Stage == yamlv4.ScannerStage, e.Stage == yamlv4.ParserStage:
		return e.Message // messages of the scanner and of the parser do not quote the document
	case strings.HasPrefix(e.Message, "unknown anchor"):
		return "unknown anchor"
	default:
		return "syntax error"
	}
}

// positionJSON describes err, which the decoding of body has returned. For a syntax error, the description contains the
// position and the reason. For any other error, it says that exactly one object is expected.
func positionJSON(err error, body []byte) string {
	isSyntax, offset := kjson.SyntaxErrorOffset(err)
	if !isSyntax {
		return "exactly one is expected"
	}
	before := body[:min(max(int(offset)-1, 0), len(body))]
	line, column := 1+bytes.Count(before, []byte("\n")), len(before)-bytes.LastIndexByte(before, '\n')
	why := err.Error()
	if _, rest, ok := cutLast(why, "' "); ok { // the text before the reason quotes the character
		why = "invalid character " + rest
	}
	return place(line, column) + ": " + why
}

func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(separator):], true
}

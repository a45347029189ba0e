// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"regexp"
	"strings"

	"github.com/kubevision-io/kubevision/pkg/rawjson"
)

const (
	// maxPath bounds the length of the path of the field by which objects are sorted, in bytes.
	maxPath = 1024
	// maxSegments bounds the number of segments in the path of the field by which objects are sorted.
	maxSegments = 16
)

// pathSegment matches one segment of a path in the syntax of kubectl. A segment is .name, an index in brackets, or a
// quoted name in brackets. In .name, a backslash escapes the next character.
var pathSegment = regexp.MustCompile(
	//nolint:gocritic // all printable characters
	`^(?:\.((?:[A-Za-z0-9_/-]|\\[ -~])+)|\[(-?\d{1,6}|\*)\]|\['([^']+)'\]|\["([^"]+)"\])`)

var pathEscape = regexp.MustCompile(`\\(.)`)

// parsePath parses a path such as status.phase, {.status.containerStatuses[0].restartCount} or
// metadata.labels['app.kubernetes.io/name'], and returns its segments. It returns false if the path is malformed.
func parsePath(text string) ([]string, bool) {
	if len(text) > maxPath {
		return nil, false
	}
	if inner, ok := strings.CutPrefix(text, "{"); ok {
		if text, ok = strings.CutSuffix(inner, "}"); !ok {
			return nil, false
		}
	}
	if !strings.HasPrefix(text, ".") && !strings.HasPrefix(text, "[") {
		text = "." + text
	}
	var out []string
	for text != "" {
		found := pathSegment.FindStringSubmatch(text)
		if found == nil || len(out) == maxSegments {
			return nil, false
		}
		text = text[len(found[0]):]
		switch {
		case found[1] != "":
			out = append(out, pathEscape.ReplaceAllString(found[1], "$1"))
		case found[2] == "*": // kubectl sorts by the first element
			out = append(out, "0")
		default:
			out = append(out, found[2]+found[3]+found[4])
		}
	}
	return out, true
}

// valueAt returns the JSON value at path in o, or nil.
func valueAt(o item, path []string) []byte {
	value, ok := rawjson.At(o.Member(path[0]), path[1:]...)
	if !ok {
		return nil
	}
	return value
}

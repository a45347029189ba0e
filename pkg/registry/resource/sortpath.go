// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/rawjson"
)

const (
	// maxPath is the length of the longest path, in bytes; maxSegments is how many segments it has at most.
	maxPath     = 1024
	maxSegments = 16
)

// pathSegment is a segment of a path, as kubectl writes it: .name, in which a backslash takes the meaning from the next
// character, an index in brackets, or a name in brackets and quotes.
var pathSegment = regexp.MustCompile(
	`^(?:\.((?:[A-Za-z0-9_/-]|\\[ -~])+)|\[(-?\d{1,6}|\*)\]|\['([^']+)'\]|\["([^"]+)"\])`,
) //nolint:gocritic // all printable characters

var pathEscape = regexp.MustCompile(`\\(.)`)

// parsePath reads status.phase, .status.phase, {.status.containerStatuses[0].restartCount} or
// metadata.labels['app.kubernetes.io/name'].
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
		case found[2] == "*": // of all elements kubectl looks at the first
			out = append(out, "0")
		default:
			out = append(out, found[2]+found[3]+found[4])
		}
	}
	return out, true
}

// valueAt returns the value at a path, nil where there is none.
func valueAt(item objects.Object, path []string) json.RawMessage {
	current, ok := item[path[0]]
	for _, segment := range path[1:] {
		if !ok {
			return nil
		}
		current, ok = valueIn(current, segment)
	}
	return current
}

// valueIn returns the member or the element of a value. It decodes none of the others, of which there may be any
// number.
func valueIn(value json.RawMessage, segment string) (json.RawMessage, bool) {
	if len(value) > 0 && value[0] == '{' {
		return rawjson.Lookup(value, segment)
	}
	index, err := strconv.Atoi(segment)
	if err != nil {
		return nil, false
	}
	if index < 0 {
		index += countElements(value)
	}
	var found json.RawMessage
	visited := 0
	s := rawjson.NewScanner(value)
	err = s.Elements(func() error {
		begin := s.Pos()
		if err := s.Value(); err != nil {
			return err //nolint:wrapcheck // it is not returned
		}
		if visited == index {
			found = s.Since(begin)
		}
		visited++
		return nil
	})
	return found, err == nil && found != nil
}

// countElements returns the number of elements of a list, or 0 for another value.
func countElements(value json.RawMessage) (count int) {
	s := rawjson.NewScanner(value)
	_ = s.Elements(func() error { // a value that is no list has no elements
		count++
		return s.Value() //nolint:wrapcheck // it is not returned
	})
	return count
}

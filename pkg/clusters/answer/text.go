// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package answer makes safe what member clusters answer. A member is not trusted: what it says reaches a response, a
// condition or an event only as the message of a Kubernetes Status, which is bounded and cleaned, and everything else
// only the log.
package answer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// ellipsis stands where something was cut out.
	ellipsis = " ... "
	// maxCleaned bytes of a text are looked at.
	maxCleaned = 1 << 20
)

// Text returns a text in one line of at most some bytes of valid UTF-8: without control characters and characters that
// cannot be seen, and with one space for each run of white space. A longer text loses its middle, since API servers
// name the object first and the reason last.
func Text(s string, limit int) string {
	if len(s) > maxCleaned {
		s = s[:maxCleaned/2] + ellipsis + s[len(s)-maxCleaned/2:]
	}
	return shorten(clean(s), limit)
}

func clean(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	space, invalid := false, false
	for i, r := range s {
		broken := r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError))
		switch {
		case unicode.IsSpace(r):
			space = true
			continue
		case broken && invalid, !broken && !visible(r):
			continue
		}
		if space && b.Len() > 0 {
			b.WriteByte(' ')
		}
		space, invalid = false, broken
		b.WriteRune(r)
	}
	return b.String()
}

// visible says whether a character shows on a screen by itself. Format characters, which reverse the direction of a
// text for one, do not.
func visible(r rune) bool {
	const blankBraille = '\u2800'
	return unicode.IsPrint(r) && r != blankBraille &&
		!unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// shorten cuts the middle out of a text, between two characters.
func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	if limit <= len(ellipsis) {
		return ""
	}
	tail := (limit - len(ellipsis)) / 3
	head := limit - len(ellipsis) - tail
	from := len(s) - tail
	for head > 0 && !utf8.RuneStart(s[head]) {
		head--
	}
	for from < len(s) && !utf8.RuneStart(s[from]) {
		from++
	}
	return strings.TrimRight(s[:head], " ") + ellipsis + strings.TrimLeft(s[from:], " ")
}

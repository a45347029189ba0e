// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package response sanitizes the responses of member clusters, which are not trusted. Text of a member reaches a
// response, a condition or an event only as the message of a Kubernetes Status, bounded and cleaned. All other text is
// only logged.
package response

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// ellipsis replaces the removed part of a text.
	ellipsis = " ... "
	// maxCleaned bounds the bytes of a text that are processed.
	maxCleaned = 1 << 20
)

// Text returns a text as one line of at most limit bytes of valid UTF-8. It removes control characters and invisible
// characters, and replaces each run of white space with one space. It cuts the middle of a longer text, because API
// servers put the object first and the reason last.
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
		case broken && invalid, !broken && !isVisible(r):
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

// isVisible returns true for a character that is visible by itself. Format characters, for example those that reverse
// the direction of text, are not.
func isVisible(r rune) bool {
	const blankBraille = '\u2800'
	return unicode.IsPrint(r) && r != blankBraille &&
		!unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// shorten removes the middle of a text at character boundaries.
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
	short := strings.TrimRight(s[:head], " ") + ellipsis + strings.TrimLeft(s[from:], " ")
	return strings.TrimSpace(short) // a part is empty if none of its characters fits
}

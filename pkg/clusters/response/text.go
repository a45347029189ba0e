// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package response sanitizes the responses of member clusters, which are not trusted. An error response is reduced to
// the fields of a Kubernetes Status, without control characters and with a maximum length. All other text of an error
// response is only logged.
package response

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// ellipsis replaces the middle of a text that is too long.
	ellipsis = " ... "
	// maxCleaned bounds the bytes of a text that are processed. The middle of a longer text is dropped.
	maxCleaned = 1 << 20
)

// Text returns s as one line of valid UTF-8 without control characters and invisible characters. It replaces each run
// of white space with one space. If the result is longer than limit bytes, Text removes the middle. The beginning and
// the end remain, because messages of API servers begin with the name of the object and end with the reason.
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

// isVisible returns false for invisible characters, for example those that reverse the direction of text.
func isVisible(r rune) bool {
	const blankBraille = '\u2800'
	return unicode.IsPrint(r) && r != blankBraille &&
		!unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// shorten removes the middle of s if s is longer than limit bytes. It does not split a UTF-8 character.
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

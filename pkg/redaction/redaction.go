// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package redaction removes confidential values from messages of API servers.
package redaction

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// Placeholder replaces a value.
	Placeholder = "******"
	// General replaces a message that may contain a value that is too short to be replaced.
	General = "the message of the cluster's API server is withheld, since it may contain a value of the Secret"

	// MaxText is the length of the longest text that Text returns, in bytes.
	MaxText = 4 << 10
	// maxRead bounds the part of a text that is read. The rest is dropped.
	maxRead = 2 * MaxText
	// minValue is the length from which a value is replaced. Shorter values occur in any text. If a short value occurs
	// as a separate word, the whole text is replaced.
	minValue = 4
	// checkEvery is the number of steps between two checks whether the request has ended.
	checkEvery = 1 << 10
)

// Redactor removes a set of values from texts. Its time grows with the sum of the lengths of the values, not with the
// product of their number and the length of the text.
type Redactor struct {
	// values are sorted and distinct. parents contains, for each value, the index of the longest other value that is a
	// prefix of it, or -1.
	values  []string
	parents []int
	short   []string
}

// New returns a redactor of values in the forms in which API servers quote them: verbatim, and quoted by Go and JSON.
// It returns false if done returns an error, because the request has ended. No text may be returned to the caller in
// that case.
func New(values []string, done func() error) (*Redactor, bool) {
	r := &Redactor{}
	for i, value := range values {
		if i%checkEvery == 0 && done() != nil {
			return nil, false
		}
		if value != "" && len(value) < minValue {
			r.short = append(r.short, value)
		}
		for _, form := range forms(value) {
			if len(form) >= minValue {
				r.values = append(r.values, form)
			}
		}
	}
	slices.Sort(r.short)
	r.short = slices.Compact(r.short)
	slices.Sort(r.values)
	r.values = slices.Compact(r.values)
	r.parents = make([]int, len(r.values))
	for i := range r.values {
		parent := i - 1
		for parent >= 0 && !strings.HasPrefix(r.values[i], r.values[parent]) {
			parent = r.parents[parent]
		}
		r.parents[i] = parent
	}
	return r, done() == nil
}

// forms returns a value verbatim, and its quoted forms if they differ.
func forms(value string) []string {
	out := []string{value}
	quoted := strconv.Quote(value)
	if inner := quoted[1 : len(quoted)-1]; inner != value {
		out = append(out, inner)
	}
	if encoded, err := json.Marshal(value); err == nil {
		if inner := string(encoded[1 : len(encoded)-1]); inner != value {
			out = append(out, inner)
		}
	}
	return out
}

// Text returns a text of at most MaxText bytes without the values. Each stretch that values cover becomes one
// placeholder, which is not searched again.
func (r *Redactor) Text(text string, done func() error) string {
	cut := len(text) > maxRead
	if cut {
		text = text[:maxRead]
	}
	if slices.ContainsFunc(r.short, func(value string) bool { return standsIn(text, value) }) {
		return General
	}
	var out strings.Builder
	copied, covered := 0, 0 // The text before copied has been written. Values cover the text before covered.
	for i := range len(text) {
		if i%checkEvery == 0 && done() != nil {
			return General
		}
		length := r.longest(text[i:], cut)
		if length == 0 || i+length <= covered {
			continue
		}
		if i > covered || covered == 0 {
			out.WriteString(text[copied:i])
			out.WriteString(Placeholder)
		}
		covered = i + length
		copied = covered
	}
	out.WriteString(text[copied:])
	return Cut(out.String())
}

// longest returns the length of the longest value that is a prefix of a text, or 0. A truncated text may be the
// beginning of a value as a whole.
func (r *Redactor) longest(text string, cut bool) int {
	next, exact := slices.BinarySearch(r.values, text)
	if exact || (cut && next < len(r.values) && strings.HasPrefix(r.values[next], text)) {
		return len(text)
	}
	at := next - 1
	if at < 0 {
		return 0
	}
	common := commonPrefix(r.values[at], text)
	for at >= 0 && len(r.values[at]) > common {
		at = r.parents[at]
	}
	if at < 0 {
		return 0
	}
	return len(r.values[at])
}

func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// standsIn returns true if a short value occurs in a text as a separate word.
func standsIn(text, value string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], value)
		if i < 0 {
			return false
		}
		begin := from + i
		end := begin + len(value)
		before, _ := utf8.DecodeLastRuneInString(text[:begin])
		first, _ := utf8.DecodeRuneInString(value)
		last, _ := utf8.DecodeLastRuneInString(value)
		after, _ := utf8.DecodeRuneInString(text[end:])
		if (!inWord(before) || !inWord(first)) && (!inWord(last) || !inWord(after)) {
			return true
		}
		from = begin + 1
	}
}

func inWord(r rune) bool {
	return r == '_' || (r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)))
}

// Cut returns at most MaxText bytes of a text, up to a character boundary.
func Cut(text string) string { return CutTo(text, MaxText) }

// CutTo returns at most the given number of bytes of a text, up to a character boundary.
func CutTo(text string, most int) string {
	const mark = "..."
	if len(text) <= most {
		return text
	}
	end := most - len(mark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}

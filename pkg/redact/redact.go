// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package redact takes confidential values out of messages that others have written.
package redact

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// Placeholder stands for a value.
	Placeholder = "******"
	// General stands for a message that may repeat a value too short to be taken out.
	General = "what the cluster's API server said is withheld, since it may repeat a value of the Secret"

	// MaxText is the longest text that Text returns, in bytes.
	MaxText = 4 << 10
	// maxRead is how much of a text is read. What follows is dropped.
	maxRead = 2 * MaxText
	// minValue is the length from which a value is replaced. Shorter ones are in any text: where one stands by itself, the whole text goes.
	minValue = 4
	// checkEvery is the number of steps between two looks at the end of the request.
	checkEvery = 1 << 10
)

// Redactor takes a set of values out of texts. Its time grows with the length of the values and not with their number times the text.
type Redactor struct {
	// values are sorted and distinct; parents is for each the longest other one that it begins with, -1 where there is none.
	values  []string
	parents []int
	short   []string
}

// New makes a redactor of values, in the forms in which API servers repeat them: as they are, and as Go and JSON quote them. It returns false
// where done says that nobody waits any more; nothing may be shown then.
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

// forms are a value as it is, and as it is written in quotes where that differs.
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

// Text is a text without the values, at most MaxText long. Each stretch that values cover becomes one placeholder, which is never looked at
// again.
func (r *Redactor) Text(text string, done func() error) string {
	cut := len(text) > maxRead
	if cut {
		text = text[:maxRead]
	}
	if slices.ContainsFunc(r.short, func(value string) bool { return standsIn(text, value) }) {
		return General
	}
	var out strings.Builder
	copied, covered := 0, 0 // the text before copied is written, and values cover what is before covered
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

// longest is the length of the longest value that a text begins with, 0 where there is none. Where the text was cut, a value may begin with all
// of the text.
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

// standsIn says whether a short value stands in a text by itself, and not within a word.
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

// Cut is a text of at most MaxText bytes that ends between two characters.
func Cut(text string) string { return CutTo(text, MaxText) }

// CutTo is a text of at most so many bytes that ends between two characters.
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

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package redaction removes confidential values, such as those of Secrets, from messages of API servers.
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
	// Placeholder replaces confidential values.
	Placeholder = "******"
	// General replaces a whole message from which the values of a Secret cannot be removed.
	General = "the message of the cluster's API server is withheld, since it may contain a value of the Secret"

	// MaxText is the maximum length of the result of Redactor.Text, in bytes.
	MaxText = 4 << 10
	// maxRead is the number of bytes of a text that are examined. The rest is dropped.
	maxRead = 2 * MaxText
	// minValue is the minimum length of a value that is replaced by the Placeholder, in bytes. Shorter values are not
	// replaced, because they occur by chance in many texts. However, if a shorter value occurs as a separate word,
	// Redactor.Text withholds the whole text.
	minValue = 4
	// checkEvery is the number of values (in New) or bytes (in Redactor.Text) after which the code checks again whether
	// the request has ended.
	checkEvery = 1 << 10
)

// Redactor removes a set of values from texts. At each position of a text, it uses a binary search to find a value,
// because comparing each value would take too long for many values.
type Redactor struct {
	// values contains the values that are replaced, sorted and without duplicates. One value may be a prefix of
	// another.
	values []string
	// parents[i] is the index of the longest other value that is a prefix of values[i]. It is -1 if there is none.
	parents []int
	// short contains the values with less than minValue bytes, sorted and without duplicates.
	short []string
}

// New returns a Redactor that removes the values, and their escaped forms in Go and JSON strings. It returns false if
// ctxErr returns an error, and true otherwise. ctxErr is usually the method Err of a context. New calls it repeatedly,
// because a large number of values takes a long time.
func New(values []string, ctxErr func() error) (*Redactor, bool) {
	r := &Redactor{}
	for i, value := range values {
		if i%checkEvery == 0 && ctxErr() != nil {
			return nil, false
		}
		if value != "" && len(value) < minValue {
			r.short = append(r.short, value)
		}
		for _, form := range forms(value) { // API servers may quote values
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
	return r, ctxErr() == nil
}

// forms returns the forms of the value that a text may contain: the value itself, and its escaped forms in quoted
// strings of Go and of JSON, without the quotation marks. It omits an escaped form that equals the value.
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

// Text returns the text with Placeholder in place of confidential values, cut to MaxText bytes. In some cases, it
// returns the constant General instead, for example if ctxErr returns an error.
func (r *Redactor) Text(text string, ctxErr func() error) string {
	cut := len(text) > maxRead
	if cut {
		text = text[:maxRead]
	}
	if slices.ContainsFunc(r.short, func(value string) bool { return standsIn(text, value) }) {
		return General
	}
	var out strings.Builder
	copied, covered := 0, 0 // text[:copied] has been written. text[:covered] contains all values found so far.
	for i := range len(text) {
		if i%checkEvery == 0 && ctxErr() != nil {
			return General
		}
		length := r.valueLength(text[i:], cut)
		if length == 0 || i+length <= covered {
			continue
		}
		if i > covered || covered == 0 { // one Placeholder replaces adjacent or overlapping values
			out.WriteString(text[copied:i])
			out.WriteString(Placeholder)
		}
		covered = i + length
		copied = covered
	}
	out.WriteString(text[copied:])
	return Cut(out.String())
}

func (r *Redactor) valueLength(text string, isCut bool) int {
	next, exact := slices.BinarySearch(r.values, text)
	// If the end was removed, the whole text may be the beginning of a value.
	if exact || (isCut && next < len(r.values) && strings.HasPrefix(r.values[next], text)) {
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

// standsIn returns true if the value occurs in the text as a separate word.
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

// Cut shortens the text to at most MaxText bytes at a character boundary. A shortened text ends with "...".
func Cut(text string) string { return CutTo(text, MaxText) }

// CutTo shortens the text to at most the given number of bytes at a character boundary. A shortened text ends with
// "...", which counts toward this number.
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

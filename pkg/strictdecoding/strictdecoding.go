// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package strictdecoding finds values in JSON that a decoder would change without an error: invalid UTF-8, unpaired
// surrogates, and numbers with too many digits.
package strictdecoding

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Problem is a value that a decoder would change without an error.
type Problem struct {
	// Path is the path of the field, for example spec.ports[0].port, or empty for the whole document.
	Path string
	// Reason describes the problem. It does not contain the value of the field.
	Reason string
}

const (
	notUTF8      = "is not valid UTF-8"
	surrogate    = "contains an unpaired surrogate"
	largeInteger = "is an integer that does not fit into 64 bits"
	longFloat    = "is a number with too many digits"
)

// JSON returns the first Problem of a JSON document: a value that a decoder would change without an error. It returns
// nil if there is none. JSON does not report syntax errors.
func JSON(document []byte) *Problem {
	s := scanner{text: document}
	return s.scan()
}

// Number describes why a decoder would change the value of a decimal number, for example because of too many digits. It
// returns an empty string if the decoder keeps the exact value. The description is suitable for Problem.Reason.
func Number(text string) string {
	if !strings.ContainsAny(text, ".eE") {
		if _, err := strconv.ParseInt(text, 10, 64); err != nil {
			return largeInteger
		}
		return ""
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || decimal(text) != decimal(strconv.FormatFloat(value, 'e', -1, 64)) {
		return longFloat
	}
	return ""
}

type digits struct {
	negative bool
	text     string
	exponent int
}

// decimal returns the sign, the significant digits and the exponent of a decimal number.
func decimal(text string) digits {
	var d digits
	text, d.negative = strings.CutPrefix(text, "-")
	text = strings.TrimPrefix(text, "+")
	mantissa := text
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa = text[:i]
		d.exponent, _ = strconv.Atoi(text[i+1:]) // the decoder rejects a number out of range, too
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	d.exponent -= len(fraction)
	d.text = strings.TrimLeft(whole+fraction, "0")
	trimmed := strings.TrimRight(d.text, "0")
	d.exponent += len(d.text) - len(trimmed)
	if d.text = trimmed; d.text == "" {
		return digits{}
	}
	return d
}

// frame is an object or an array that contains the current position.
type frame struct {
	object bool
	key    string
	index  int
	// beforeColon is true before the colon of a field. A string at this position is the key.
	beforeColon bool
}

type scanner struct {
	text   []byte
	at     int
	frames []frame
}

func (s *scanner) scan() *Problem {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == '"':
			if reason := s.string(); reason != "" {
				return &Problem{Path: s.path(), Reason: reason}
			}
		case c == '-' || (c >= '0' && c <= '9'):
			if reason := s.number(); reason != "" {
				return &Problem{Path: s.path(), Reason: reason}
			}
		case c >= utf8.RuneSelf:
			// Outside of strings, JSON contains only ASCII characters. All other characters are reported as notUTF8.
			return &Problem{Path: s.path(), Reason: notUTF8}
		default:
			s.structure(c)
			s.at++
		}
	}
	return nil
}

func (s *scanner) structure(c byte) {
	switch top := len(s.frames) - 1; {
	case c == '{':
		s.frames = append(s.frames, frame{object: true, beforeColon: true})
	case c == '[':
		s.frames = append(s.frames, frame{})
	case top < 0:
	case c == '}' || c == ']':
		s.frames = s.frames[:top]
	case c == ':':
		s.frames[top].beforeColon = false
	case c == ',':
		s.frames[top].index++
		s.frames[top].beforeColon = s.frames[top].object
	}
}

func (s *scanner) number() string {
	begin := s.at
	for s.at < len(s.text) && strings.IndexByte("+-.0123456789eE", s.text[s.at]) >= 0 {
		s.at++
	}
	text := s.text[begin:s.at]
	if !json.Valid(text) {
		return "" // a syntax error, which the decoder reports
	}
	return Number(string(text))
}

func (s *scanner) string() string {
	begin := s.at
	for s.at++; s.at < len(s.text) && s.text[s.at] != '"'; s.at++ {
		if s.text[s.at] == '\\' {
			s.at++
		}
	}
	s.at = min(s.at+1, len(s.text))
	text := s.text[begin:s.at]
	if top := len(s.frames) - 1; top >= 0 && s.frames[top].beforeColon {
		if json.Unmarshal(text, &s.frames[top].key) != nil {
			s.frames[top].key = ""
		}
	}
	switch {
	case !utf8.Valid(text):
		return notUTF8
	case halfPair(text):
		return surrogate
	}
	return ""
}

// halfPair returns true if a JSON string contains an escape of one half of a surrogate pair without the other half.
func halfPair(text []byte) bool {
	for i := 0; i+1 < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		i++
		if text[i] != 'u' {
			continue
		}
		first, ok := escaped(text, i+1)
		if !ok || !utf16.IsSurrogate(first) {
			continue
		}
		if i+6 >= len(text) || text[i+5] != '\\' || text[i+6] != 'u' {
			return true
		}
		second, ok := escaped(text, i+7)
		if !ok || utf16.DecodeRune(first, second) == utf8.RuneError {
			return true
		}
		i += 10
	}
	return false
}

func escaped(text []byte, at int) (rune, bool) {
	if at+4 > len(text) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[at:at+4]), 16, 32)
	return rune(n), err == nil //nolint:gosec // four hexadecimal digits
}

// maxPath bounds the length of Problem.Path, in bytes.
const maxPath = 256

// path returns the path of the current field.
func (s *scanner) path() string {
	var out strings.Builder
	for _, f := range s.frames {
		switch {
		case !f.object:
			out.WriteString("[" + strconv.Itoa(f.index) + "]")
		case out.Len() == 0:
			out.WriteString(f.key)
		default:
			out.WriteString("." + f.key)
		}
	}
	path := strings.ToValidUTF8(out.String(), "\uFFFD")
	return path[:min(len(path), maxPath)]
}

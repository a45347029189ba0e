// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"encoding/json"
	"errors"
)

// maxDepth bounds the nesting of an object. encoding/json, by which API servers encode, allows 10,000.
const maxDepth = 1000

// errSyntax is returned for a text that is not JSON. It contains nothing of the text.
var errSyntax = errors.New("the API server has sent a text that is not JSON")

// scanner validates JSON and finds the members of objects in one pass, without decoding values.
type scanner struct {
	text  []byte
	pos   int
	depth int
}

func (s *scanner) space() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

// peek returns the next byte, or 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

// take consumes a byte.
func (s *scanner) take(c byte) bool {
	if s.peek() != c || s.pos == len(s.text) {
		return false
	}
	s.pos++
	return true
}

// value consumes a value.
func (s *scanner) value() error {
	switch c := s.peek(); {
	case c == '"':
		_, err := s.quoted()
		return err
	case c == '{':
		return s.nested('}')
	case c == '[':
		return s.nested(']')
	case c == '-', c >= '0' && c <= '9':
		return s.number()
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	default:
		return s.literal("null")
	}
}

// members consumes an object. It calls visit at the beginning of each value, which visit must consume.
func (s *scanner) members(visit func(key quotedText) error) error {
	return s.enclosed('{', '}', func() error {
		key, err := s.key()
		if err != nil {
			return err
		}
		return visit(key)
	})
}

// key consumes the key of a member, up to its value.
func (s *scanner) key() (quotedText, error) {
	key, err := s.quoted()
	if err != nil {
		return quotedText{}, err
	}
	s.space()
	if !s.take(':') {
		return quotedText{}, errSyntax
	}
	s.space()
	return key, nil
}

// nested consumes an object or an array without visiting it.
func (s *scanner) nested(end byte) error {
	s.pos++
	s.depth++
	if s.depth > maxDepth {
		return errSyntax
	}
	s.space()
	if s.take(end) {
		s.depth--
		return nil
	}
	for {
		if end == '}' {
			if _, err := s.key(); err != nil {
				return err
			}
		}
		if err := s.value(); err != nil {
			return err
		}
		s.space()
		if s.take(end) {
			s.depth--
			return nil
		}
		if !s.take(',') {
			return errSyntax
		}
		s.space()
	}
}

func (s *scanner) enclosed(begin, end byte, item func() error) error {
	s.depth++
	if s.depth > maxDepth || !s.take(begin) {
		return errSyntax
	}
	defer func() { s.depth-- }()
	s.space()
	if s.take(end) {
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		s.space()
		switch {
		case s.take(end):
			return nil
		case !s.take(','):
			return errSyntax
		}
		s.space()
	}
}

// quotedText is a string with its quotes.
type quotedText struct {
	raw     []byte
	escaped bool
}

// text returns the string itself.
func (q quotedText) text() string {
	if !q.escaped {
		return string(q.raw[1 : len(q.raw)-1])
	}
	var out string
	if err := json.Unmarshal(q.raw, &out); err != nil { // cannot happen: it was validated
		return ""
	}
	return out
}

// is returns true if the string is a name. It allocates no memory for a string without escapes.
func (q quotedText) is(name string) bool {
	if !q.escaped {
		return string(q.raw[1:len(q.raw)-1]) == name
	}
	return q.text() == name
}

// quoted consumes a string.
func (s *scanner) quoted() (quotedText, error) {
	begin := s.pos
	if !s.take('"') {
		return quotedText{}, errSyntax
	}
	escaped := false
	for {
		i, text := s.pos, s.text
		for i < len(text) && text[i] != '"' && text[i] != '\\' && text[i] >= ' ' {
			i++
		}
		s.pos = i
		switch {
		case i == len(text) || text[i] < ' ':
			return quotedText{}, errSyntax
		case text[i] == '"':
			s.pos++
			return quotedText{raw: text[begin:s.pos], escaped: escaped}, nil
		}
		escaped = true
		if !s.escape() {
			return quotedText{}, errSyntax
		}
	}
}

// escape consumes an escape sequence.
func (s *scanner) escape() bool {
	s.pos++
	c := s.peek()
	s.pos++
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			if !isHex(s.peek()) {
				return false
			}
			s.pos++
		}
		return true
	default:
		return false
	}
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func (s *scanner) number() error {
	s.take('-')
	if !s.take('0') && s.digits() == 0 {
		return errSyntax
	}
	if s.take('.') && s.digits() == 0 {
		return errSyntax
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		if s.digits() == 0 {
			return errSyntax
		}
	}
	return nil
}

func (s *scanner) digits() int {
	begin := s.pos
	for s.pos < len(s.text) && s.text[s.pos] >= '0' && s.text[s.pos] <= '9' {
		s.pos++
	}
	return s.pos - begin
}

func (s *scanner) literal(word string) error {
	if len(s.text)-s.pos < len(word) || string(s.text[s.pos:s.pos+len(word)]) != word {
		return errSyntax
	}
	s.pos += len(word)
	return nil
}

// end returns an error if anything but space is left.
func (s *scanner) end() error {
	s.space()
	if s.pos != len(s.text) {
		return errSyntax
	}
	return nil
}

// string consumes a value, and returns the text of a string. It returns an empty text for other values.
func (s *scanner) string() (string, error) {
	if s.peek() != '"' {
		return "", s.value()
	}
	q, err := s.quoted()
	if err != nil {
		return "", err
	}
	return q.text(), nil
}

// Members returns the values of the members of the object.
func (o *Object) Members() map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	s := &scanner{text: o.JSON}
	_ = s.members(func(key quotedText) error { // an Object has valid JSON
		begin := s.pos
		err := s.value()
		out[key.text()] = s.text[begin:s.pos]
		return err
	})
	return out
}

// lookup returns the value at a path of a valid object, and false if there is none.
func lookup(object []byte, path ...string) ([]byte, bool) {
	s := &scanner{text: object}
	s.space()
	if s.peek() != '{' {
		return nil, false
	}
	var found []byte
	err := s.members(func(key quotedText) error {
		begin := s.pos
		if err := s.value(); err != nil {
			return err
		}
		if key.is(path[0]) {
			found = s.text[begin:s.pos]
		}
		return nil
	})
	if err != nil || found == nil {
		return nil, false
	}
	if len(path) == 1 {
		return found, true
	}
	return lookup(found, path[1:]...)
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rawjson checks the syntax of JSON, and finds and changes values in it without decoding it.
package rawjson

import (
	"encoding/json"
	"errors"
)

// maxDepth bounds the nesting depth, because the Scanner is recursive. Objects of real API servers are not nested so
// deeply.
const maxDepth = 1000

// ErrSyntax is returned for invalid JSON. Its message contains no part of the text.
var ErrSyntax = errors.New("the text is not JSON")

// Scanner reads JSON from beginning to end and checks its syntax. Each method that reads text begins at the current
// position, and moves the position to the end of the text that it has read.
type Scanner struct {
	text  []byte
	pos   int
	depth int
	// spaces is the number of white space bytes that were read between tokens.
	spaces int
}

// NewScanner returns a Scanner at the first value of the text.
func NewScanner(text []byte) *Scanner {
	s := &Scanner{text: text}
	s.Space()
	return s
}

// Pos returns the current position, as an offset in bytes.
func (s *Scanner) Pos() int { return s.pos }

// Since returns the text from pos to the current position, without a copy.
func (s *Scanner) Since(pos int) []byte { return s.text[pos:s.pos] }

// Space reads white space.
func (s *Scanner) Space() {
	for s.pos < len(s.text) && isSpace(s.text[s.pos]) {
		s.pos++
		s.spaces++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// Peek returns the next byte without reading it, or 0 at the end of the text.
func (s *Scanner) Peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

// take reads the next byte if it is c. It returns false if it is not.
func (s *Scanner) take(c byte) bool {
	if s.Peek() != c || s.pos == len(s.text) {
		return false
	}
	s.pos++
	return true
}

// Value checks the syntax of a value of any type, and moves the position to the end of the value. It returns ErrSyntax
// if the value is not valid JSON.
func (s *Scanner) Value() error {
	switch c := s.Peek(); {
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

// Members reads an object. For each field, it calls visit at the beginning of the value, and visit must read the value.
// Members returns ErrSyntax if the text is not a valid object, or the first error of visit.
func (s *Scanner) Members(visit func(key Quoted) error) error {
	return s.enclosed('{', '}', func() error {
		key, err := s.Key()
		if err != nil {
			return err
		}
		return visit(key)
	})
}

// Elements reads an array. For each element, it calls visit at the beginning of the element, and visit must read it.
// Elements returns ErrSyntax if the text is not a valid array, or the first error of visit.
func (s *Scanner) Elements(visit func() error) error { return s.enclosed('[', ']', visit) }

// Key reads the name of a field and the colon after it.
func (s *Scanner) Key() (Quoted, error) {
	key, err := s.quoted()
	if err != nil {
		return Quoted{}, err
	}
	s.Space()
	if !s.take(':') {
		return Quoted{}, ErrSyntax
	}
	s.Space()
	return key, nil
}

// nested reads an object or an array. end is its closing bracket.
func (s *Scanner) nested(end byte) error {
	s.pos++
	s.depth++
	if s.depth > maxDepth {
		return ErrSyntax
	}
	s.Space()
	if s.take(end) {
		s.depth--
		return nil
	}
	for {
		if end == '}' {
			if _, err := s.Key(); err != nil {
				return err
			}
		}
		if err := s.Value(); err != nil {
			return err
		}
		s.Space()
		if s.take(end) {
			s.depth--
			return nil
		}
		if !s.take(',') {
			return ErrSyntax
		}
		s.Space()
	}
}

// enclosed reads an object or an array. At the beginning of each field or element, it calls readItem, which must read
// the field or element.
func (s *Scanner) enclosed(begin, end byte, readItem func() error) error {
	s.depth++
	if s.depth > maxDepth || !s.take(begin) {
		return ErrSyntax
	}
	defer func() { s.depth-- }()
	s.Space()
	if s.take(end) {
		return nil
	}
	for {
		if err := readItem(); err != nil {
			return err
		}
		s.Space()
		switch {
		case s.take(end):
			return nil
		case !s.take(','):
			return ErrSyntax
		}
		s.Space()
	}
}

// Quoted is a JSON string, including its quotation marks.
type Quoted struct {
	raw     []byte
	escaped bool
}

// Text returns the decoded string.
func (q Quoted) Text() string {
	if !q.escaped {
		return string(q.raw[1 : len(q.raw)-1])
	}
	var out string
	if err := json.Unmarshal(q.raw, &out); err != nil { // impossible, because the text is valid
		return ""
	}
	return out
}

// Is returns true if the decoded string equals name. It allocates memory only if the string contains escapes.
func (q Quoted) Is(name string) bool {
	if !q.escaped {
		return string(q.raw[1:len(q.raw)-1]) == name
	}
	return q.Text() == name
}

// quoted reads a string.
func (s *Scanner) quoted() (Quoted, error) {
	begin := s.pos
	if !s.take('"') {
		return Quoted{}, ErrSyntax
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
			return Quoted{}, ErrSyntax
		case text[i] == '"':
			s.pos++
			return Quoted{raw: text[begin:s.pos], escaped: escaped}, nil
		}
		escaped = true
		if !s.escape() {
			return Quoted{}, ErrSyntax
		}
	}
}

// escape reads an escape sequence. It returns false if the escape sequence is invalid.
func (s *Scanner) escape() bool {
	s.pos++
	if s.pos == len(s.text) {
		return false
	}
	c := s.text[s.pos]
	s.pos++
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			if !isHex(s.Peek()) {
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

func (s *Scanner) number() error {
	s.take('-')
	if !s.take('0') && s.digits() == 0 {
		return ErrSyntax
	}
	if s.take('.') && s.digits() == 0 {
		return ErrSyntax
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		if s.digits() == 0 {
			return ErrSyntax
		}
	}
	return nil
}

func (s *Scanner) digits() int {
	begin := s.pos
	for s.pos < len(s.text) && s.text[s.pos] >= '0' && s.text[s.pos] <= '9' {
		s.pos++
	}
	return s.pos - begin
}

func (s *Scanner) literal(word string) error {
	if len(s.text)-s.pos < len(word) || string(s.text[s.pos:s.pos+len(word)]) != word {
		return ErrSyntax
	}
	s.pos += len(word)
	return nil
}

// End returns ErrSyntax if anything except white space follows.
func (s *Scanner) End() error {
	s.Space()
	if s.pos != len(s.text) {
		return ErrSyntax
	}
	return nil
}

// Text reads a value of any type. It returns the decoded value if it is a string, and an empty string if it is not.
func (s *Scanner) Text() (string, error) {
	if s.Peek() != '"' {
		return "", s.Value()
	}
	q, err := s.quoted()
	if err != nil {
		return "", err
	}
	return q.Text(), nil
}

// Lookup returns the value at the path in a JSON object. Each element of the path is the name of a field. Lookup
// returns false if there is no such value, or if the text is not a valid object. If a name occurs twice, the last value
// is used.
func Lookup(object []byte, path ...string) ([]byte, bool) {
	s := NewScanner(object)
	if s.Peek() != '{' {
		return nil, false
	}
	var found []byte
	err := s.Members(func(key Quoted) error {
		begin := s.pos
		if err := s.Value(); err != nil {
			return err
		}
		if key.Is(path[0]) {
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
	return Lookup(found, path[1:]...)
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

const (
	// costOfObject is the approximate memory of a cached API object without its fields, array elements and strings, in
	// bytes.
	costOfObject = 512
	// costOfElement is the approximate memory of an element of an array in an API object, in bytes.
	costOfElement = 128
	// costOfMember is the approximate memory of a field or a map entry in a cached API object, in bytes.
	costOfMember = 48
	// costOfEntry is the approximate memory of an entry of a large map, in bytes.
	costOfEntry     = 84
	maxStructFields = 16
	// halvesPerByte converts half bytes to bytes. The scanner counts memory in half bytes.
	halvesPerByte = 2
	maxFieldName  = 16

	maxCachedDepth = 6 // the depth of the verbs in a list of Roles
	// maxDepth bounds the nesting depth of JSON. API objects have far fewer levels.
	maxDepth = 200
)

// scanner estimates how much memory JSON uses after decoding. Decoding may turn a few bytes into a large struct.
type scanner struct {
	// limit is the maximum length of a response, or of one event of a watch, in bytes.
	limit int64

	// open contains the arrays and objects that are open at the current position.
	open            []openValue
	quoted, escaped bool
	// bytes is the length of the current top-level value so far.
	bytes     int64
	halfBytes int64
	// length is the length of the current string so far.
	length int64
}

// openValue is an array or object whose end was not yet read.
type openValue struct {
	array   bool
	members int
}

// scan returns the approximate memory that the next part of the JSON uses after decoding, in bytes. It returns false if
// a list or an event is longer than the limit of the scanner, or is nested more than maxDepth levels deep.
func (s *scanner) scan(text []byte) (int64, bool) {
	cost := int64(0)
	for _, b := range text {
		s.bytes++
		if s.bytes > s.limit {
			return cost, false
		}
		s.halfBytes += s.costInHalfBytes()
		// Only whole bytes are returned. The next byte of JSON adds to the remaining half byte.
		cost, s.halfBytes = cost+s.halfBytes/halvesPerByte, s.halfBytes%halvesPerByte
		switch {
		case s.escaped:
			s.escaped = false
		case s.quoted:
			s.escaped, s.quoted = b == '\\', b != '"'
		case b == '"':
			s.quoted, s.length = true, 0
		case b == '{', b == '[':
			s.open = append(s.open, openValue{array: b == '['})
			switch depth := len(s.open); {
			case depth == 1: // an event or a list
				cost += costOfObject
			case depth > maxDepth:
				return cost, false
			default:
				cost += s.costOfNextValue()
			}
		case b == ',':
			cost += s.costOfNextValue()
		case b == '}', b == ']':
			if s.open = s.open[:max(len(s.open)-1, 0)]; len(s.open) == 0 {
				s.bytes = 0
			}
		}
	}
	return cost, true
}

func (s *scanner) costInHalfBytes() int64 {
	// Most bytes need less than a byte of memory: cached objects contain neither field names nor managed fields.
	if !s.quoted {
		return 1
	}
	s.length++
	// The beginning of each string counts half, because it may be a field name.
	if s.length <= maxFieldName || len(s.open) > maxCachedDepth {
		return 1
	}
	return halvesPerByte
}

// costOfNextValue returns the approximate memory of the next array element or object member, in bytes.
func (s *scanner) costOfNextValue() int64 {
	depth := len(s.open)
	if depth == 0 {
		return costOfMember
	}
	if depth > maxCachedDepth { // usually managed fields, which are not cached
		return 0
	}
	value := &s.open[depth-1]
	value.members++
	switch {
	case value.array && depth == 2: // items of a list
		return costOfObject
	case value.array:
		return costOfElement
	case value.members > maxStructFields: // usually a map
		return costOfEntry
	default:
		return costOfMember
	}
}

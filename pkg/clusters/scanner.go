// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

const (
	// costOfObject is the approximate memory of an API object in a cache. costOfElement is the memory of an array
	// element in the object. costOfMember is the memory of a field or a map entry. All are in bytes.
	costOfObject  = 512
	costOfElement = 128
	costOfMember  = 48
	// costOfEntry is the memory of an entry of a large map, in bytes. A JSON object with more than maxFields members
	// counts as a large map.
	costOfEntry = 84
	maxFields   = 16
	// unitsPerByte is the number of cost units in one byte of memory. Most JSON bytes cost one unit, and thus less than
	// one byte of memory, because cached objects contain neither field names nor managed fields.
	unitsPerByte = 2
	// The first shortText bytes of a string cost one unit each, because most short strings are field names, which use
	// no memory after decoding. Each further byte costs one byte of memory.
	shortText = 16

	// keptDepth is the maximum nesting depth of JSON values that count as decoded Go values. In a list of Roles, the
	// verbs of the rules have this depth. Deeper values belong to managed fields, which remain raw JSON after decoding.
	keptDepth = 6
	// maxDepth bounds the nesting depth of JSON. It is several times the depth of an API object.
	maxDepth = 200
)

// scanner estimates how much memory JSON uses after decoding. Decoding may turn a few bytes into a large struct.
type scanner struct {
	// limit bounds the length of each top-level value in bytes: a list, or one event of a watch.
	limit int64

	// open contains the arrays and objects that are open at the current position.
	open            []openValue
	quoted, escaped bool
	// bytes is the length of the current top-level value so far.
	bytes int64
	// remainder is a cost in units (see unitsPerByte) that is less than one byte of memory. scan adds it to the cost of
	// the next JSON byte.
	remainder int64
	// length is the length of the current string so far.
	length int64
}

// openValue is an array or object whose end was not yet read.
type openValue struct {
	array   bool
	members int
}

// scan returns the memory cost of the next part of the JSON. It returns false if a top-level value is longer than the
// limit or nested too deeply.
func (s *scanner) scan(text []byte) (int64, bool) {
	cost := int64(0)
	for _, b := range text {
		s.bytes++
		if s.bytes > s.limit {
			return cost, false
		}
		s.remainder += s.costOfByte()
		cost, s.remainder = cost+s.remainder/unitsPerByte, s.remainder%unitsPerByte
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
				cost += s.costOfNext()
			}
		case b == ',':
			cost += s.costOfNext()
		case b == '}', b == ']':
			if s.open = s.open[:max(len(s.open)-1, 0)]; len(s.open) == 0 {
				s.bytes = 0
			}
		}
	}
	return cost, true
}

// costOfByte returns the cost of the next JSON byte in units (see unitsPerByte).
func (s *scanner) costOfByte() int64 {
	if !s.quoted {
		return 1
	}
	s.length++
	if s.length <= shortText || len(s.open) > keptDepth {
		return 1
	}
	return unitsPerByte
}

// costOfNext returns the memory of the next element or member of the innermost open array or object, in bytes.
func (s *scanner) costOfNext() int64 {
	depth := len(s.open)
	if depth == 0 {
		return costOfMember
	}
	if depth > keptDepth {
		return 0
	}
	value := &s.open[depth-1]
	value.members++
	switch {
	case value.array && depth == 2: // items of a list
		return costOfObject
	case value.array:
		return costOfElement
	case value.members > maxFields:
		return costOfEntry
	default:
		return costOfMember
	}
}

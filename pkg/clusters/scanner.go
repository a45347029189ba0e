// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

const (
	// costOfObject is the approximate memory of a named object in a cache. costOfElement is the memory of a list
	// element in the object. costOfMember is the memory of a map entry or a field.
	costOfObject  = 512
	costOfElement = 128
	costOfMember  = 48
	// costOfEntry is the approximate memory of an entry of a large map. An object with more than maxFields members is a
	// map.
	costOfEntry = 84
	maxFields   = 16
	// bytesOfCost is the number of text bytes per unit of cost. It is more than one because field names and managed
	// fields are not kept.
	bytesOfCost = 2
	// shortText is the length from which each byte of a string costs one unit. Most shorter strings are field names.
	shortText = 16

	// keptDepth is the depth of the deepest value that is decoded: a verb in a rule of a role in a list. Deeper values
	// are managed fields, which are kept as text.
	keptDepth = 6
	// maxDepth bounds the depth of JSON. It is several times the depth of an object.
	maxDepth = 200
)

// scanner estimates the memory of decoded JSON. A few bytes may become a large struct.
type scanner struct {
	// limit bounds the bytes of each value.
	limit int64

	open             []openValue
	quoted, escaped  bool
	bytes, remaining int64
	// length is the length of the open string.
	length int64
}

// openValue is an open array or object.
type openValue struct {
	array   bool
	members int
}

// scan returns the cost of a part of the text. It returns false if a value is too large or too deep.
func (s *scanner) scan(text []byte) (int64, bool) {
	cost := int64(0)
	for _, b := range text {
		s.bytes++
		if s.bytes > s.limit {
			return cost, false
		}
		s.remaining += s.weight()
		cost, s.remaining = cost+s.remaining/bytesOfCost, s.remaining%bytesOfCost
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
				cost += s.each()
			}
		case b == ',':
			cost += s.each()
		case b == '}', b == ']':
			if s.open = s.open[:max(len(s.open)-1, 0)]; len(s.open) == 0 {
				s.bytes = 0
			}
		}
	}
	return cost, true
}

// weight returns the cost of the next byte of text. Text below keptDepth may be managed fields.
func (s *scanner) weight() int64 {
	if !s.quoted {
		return 1
	}
	s.length++
	if s.length <= shortText || len(s.open) > keptDepth {
		return 1
	}
	return bytesOfCost
}

// each returns the cost of the next element of the open value.
func (s *scanner) each() int64 {
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

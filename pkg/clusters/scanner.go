// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

const (
	// costOfObject is the approximate memory of an API object in a cache, in bytes. The fields, array elements and
	// strings of the object count in addition.
	costOfObject = 512
	// costOfElement is the approximate memory of an element of an array in an API object, in bytes.
	costOfElement = 128
	// costOfMember is the approximate memory of a field or a map entry in an API object, in bytes.
	costOfMember = 48
	// costOfEntry is the approximate memory of an entry of a large map, in bytes.
	costOfEntry = 84
	// maxFields is the number of members above which each further member of a JSON object counts as an entry of a large
	// map.
	maxFields = 16
	// unitsPerByte is the number of cost units in one byte of memory. The scanner counts one unit for most bytes of
	// JSON. These use less than one byte of memory on average, because cached objects contain neither field names nor
	// managed fields.
	unitsPerByte = 2
	// shortText is the number of bytes at the beginning of a string that count as half a byte of memory each. Each
	// further byte counts as one byte of memory. Most short strings are field names, which use no memory after
	// decoding.
	shortText = 16

	// keptDepth is the maximum nesting depth at which fields and array elements count as decoded values. For example,
	// the verbs of the rules in a list of Roles have this depth. Deeper values belong to managed fields, which remain
	// raw JSON. For these values, only the bytes of the JSON count.
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
	// remainder is the counted cost that is less than one byte of memory, in units (see unitsPerByte). It carries over
	// to the cost of the next byte of JSON.
	remainder int64
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

// costOfByte returns the cost of the next byte of JSON in units, of which one byte of memory has unitsPerByte.
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

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rawjson

import "strconv"

// At returns the JSON at the given path in a JSON value. Each segment of the path is the name of a field, or the index
// of an array element. A negative index counts from the end. At returns false if the value contains nothing at the
// path. The caller must make sure that value is valid JSON.
func At(value []byte, path ...string) ([]byte, bool) {
	for _, segment := range path {
		var found bool
		switch NewScanner(value).Peek() {
		case '{':
			value, found = Lookup(value, segment)
		case '[':
			value, found = element(value, segment)
		}
		if !found {
			return nil, false
		}
	}
	return value, true
}

// element returns an element of a JSON array. segment is the index as text; a negative index counts from the end.
// element returns false if there is no such element.
func element(array []byte, segment string) (found []byte, ok bool) {
	index, err := strconv.Atoi(segment)
	if err != nil {
		return nil, false
	}
	if index < 0 {
		Elements(array, func([]byte) { index++ })
		if index < 0 {
			return nil, false
		}
	}
	Elements(array, func(element []byte) {
		if index == 0 {
			found, ok = element, true
		}
		index--
	})
	return found, ok
}

// Elements calls visit with the JSON of each element of an array. If value is not an array, for example an object,
// Elements does nothing. The caller must make sure that value is valid JSON.
func Elements(value []byte, visit func(element []byte)) {
	s := NewScanner(value)
	if s.Peek() != '[' {
		return
	}
	_ = s.Elements(func() error { // the array is valid
		begin := s.pos
		if err := s.Value(); err != nil {
			return err
		}
		visit(s.text[begin:s.pos])
		return nil
	})
}

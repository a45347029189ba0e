// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rawjson

// Member describes how Rewrite changes a field of a JSON object. The zero value leaves the field unchanged.
type Member struct {
	// Omit is true if Rewrite must remove the field from the object.
	Omit bool
	// Value is the new value of the field, as JSON. If it is nil, the value does not change.
	Value []byte
}

// sizeOfRewritten is the initial capacity of the result of Rewrite, in bytes.
const sizeOfRewritten = 1 << 10

// Rewrite reads the JSON object at the current position, and returns it with changed fields. It calls visit for each
// field. visit must read the value of the field, and return how the field changes. The result has no white space
// between tokens, except in new values. Rewrite returns ErrSyntax, or the first error of visit.
func (s *Scanner) Rewrite(visit func(key Quoted) (Member, error)) ([]byte, error) {
	out := make([]byte, 1, sizeOfRewritten)
	out[0] = '{'
	err := s.enclosed('{', '}', func() error {
		start, spaces := s.pos, s.spaces
		key, err := s.Key()
		if err != nil {
			return err
		}
		value := s.pos
		m, err := visit(key)
		if err != nil || m.Omit {
			return err
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		own := s.text[start:s.pos]
		if m.Value != nil {
			own = s.text[start:value]
		}
		if s.spaces == spaces {
			out = append(out, own...)
		} else {
			out = appendCompact(out, own)
		}
		out = append(out, m.Value...)
		return nil
	})
	return append(out, '}'), err
}

// appendCompact appends a JSON text to buffer, without the white space between tokens. The text must be valid JSON.
func appendCompact(buffer, text []byte) []byte {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			buffer = append(buffer, c, text[i+1])
			i++
			continue
		case c == '"':
			quoted = !quoted
		case !quoted && isSpace(c):
			continue
		}
		buffer = append(buffer, text[i])
	}
	return buffer
}

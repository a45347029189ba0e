// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rawjson

// Member is the replacement of a member of an object.
type Member struct {
	// Omit removes the member.
	Omit bool
	// Value replaces the value of the member, unless it is nil.
	Value []byte
}

// sizeOfRewritten is the initial capacity of a rewritten object, in bytes.
const sizeOfRewritten = 1 << 10

// Rewrite consumes an object, and returns its JSON with the replacements of its members, without white space between
// tokens, and therefore without line feeds. visit is called at the beginning of the value of each member, which it must
// consume. Replacements are copied unchanged.
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

// appendCompact appends valid JSON without the white space between its tokens.
func appendCompact(out, text []byte) []byte {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			out = append(out, c, text[i+1])
			i++
			continue
		case c == '"':
			quoted = !quoted
		case !quoted && isSpace(c):
			continue
		}
		out = append(out, text[i])
	}
	return out
}

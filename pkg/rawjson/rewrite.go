// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rawjson

// Member is the replacement of a member of an object.
type Member struct {
	// Omit leaves out the member.
	Omit bool
	// Value replaces the value of the member, unless it is nil.
	Value []byte
}

// sizeOfRewritten is the initial capacity of a rewritten object, in bytes.
const sizeOfRewritten = 1 << 10

// Rewrite consumes an object, and returns its text with the replacements of its members. visit is called at the
// beginning of the value of each member, which it must consume.
func (s *Scanner) Rewrite(visit func(key Quoted) (Member, error)) ([]byte, error) {
	out := make([]byte, 1, sizeOfRewritten)
	out[0] = '{'
	err := s.enclosed('{', '}', func() error {
		start := s.pos
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
		if m.Value == nil {
			out = append(out, s.text[start:s.pos]...)
			return nil
		}
		out = append(append(out, s.text[start:value]...), m.Value...)
		return nil
	})
	return append(out, '}'), err
}

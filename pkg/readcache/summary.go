// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

// summaryBytes is the memory of a Summary in bytes, without its strings.
const summaryBytes = 1 << 10

// Summary is a value that a caller has computed from the objects of a Group, for example the number of objects in each
// state.
type Summary struct {
	Value any
	// TextBytes is the length of all strings in Value, in bytes.
	TextBytes int64
}

func (s *Summary) memory() int64 {
	if s == nil {
		return 0
	}
	return summaryBytes + s.TextBytes
}

// Summary returns the value that Summarize has stored in the group. It returns false if there is none.
func (g *Group) Summary() (any, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.summary == nil {
		return nil, false
	}
	return g.summary.Value, true
}

// Summarize returns the Value of the Summary that compute returns for the objects of the group. The group may store the
// Summary for later calls, so all callers must pass the same function.
func (g *Group) Summarize(compute func([]*Object) (Summary, error)) (any, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.summary != nil {
		return g.summary.Value, nil
	}
	s, err := compute(g.Objects)
	if err != nil {
		return nil, err
	}
	if g.account == nil { // the group belongs to one request
		return s.Value, nil
	}
	g.summary = &s
	g.count(s.memory())
	return s.Value, nil
}

// count adds the given number of bytes, which may be negative, to the account of the store that contains the Group. If
// no store contains the Group, count does nothing. The caller must hold g.mu.
func (g *Group) count(bytes int64) {
	if !g.dropped && g.account != nil {
		g.account.add(bytes)
	}
}

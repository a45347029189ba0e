// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package fingerprint

import "testing"

// TestAppend verifies that lists with the same joined text have different encodings.
func TestAppend(t *testing.T) {
	seen := map[string][]string{}
	for _, texts := range [][]string{
		{}, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"", "ab"}, {"ab", ""}, {"\x01a"}, {"\x01", "a"},
	} {
		encoding := string(Append(nil, texts...))
		if other, ok := seen[encoding]; ok {
			t.Errorf("%q and %q have the same encoding", texts, other)
		}
		seen[encoding] = texts
	}
}

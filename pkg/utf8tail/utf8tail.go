// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package utf8tail finds an incomplete UTF-8 character at the end of a text that arrives in parts.
package utf8tail

import "unicode/utf8"

// Incomplete returns the length of the incomplete UTF-8 character at the end of p, in bytes. It returns 0 if p does not
// end with an incomplete character.
func Incomplete(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if last := p[len(p)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return n
			}
			return 0
		}
	}
	return 0
}

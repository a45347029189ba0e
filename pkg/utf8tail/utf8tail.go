// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package utf8tail finds an incomplete UTF-8 character at the end of a text that arrives in parts.
package utf8tail

import "unicode/utf8"

// Incomplete returns the number of bytes at the end of p that begin an incomplete UTF-8 character, or 0.
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

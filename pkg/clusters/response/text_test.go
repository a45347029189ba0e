// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package response

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for name, test := range map[string]struct {
		in, want string
		limit    int
	}{
		"clean":           {in: `pods "ä" is forbidden: 世界 → no`, want: `pods "ä" is forbidden: 世界 → no`},
		"lines":           {in: "one\r\n\ttwo\u2028three\u00a0four ", want: "one two three four"},
		"control":         {in: "a\x00b\x1b[31mc\x7f\u0085d", want: "ab[31mc d"},
		"direction":       {in: "abc\u202edef\u2066ghi\u200b\ufeff", want: "abcdefghi"},
		"invisible":       {in: "a\u3164b\u115fc\u034fd\ufe0fe\U000e0041f\u2800g\U000e0100h", want: "abcdefgh"},
		"invalid":         {in: "a\xff\xfe\xfdb\xc3", want: "a\ufffdb\ufffd"},
		"replacement":     {in: "a\ufffd\ufffdb", want: "a\ufffd\ufffdb"},
		"private":         {in: "a\ue000\U0010fffdb", want: "ab"},
		"long":            {in: strings.Repeat("a", 20) + strings.Repeat("b", 20), limit: 15, want: "aaaaaaa ... bbb"},
		"between letters": {in: strings.Repeat("ä", 20), limit: 16, want: "ääää ... ä"},
		"tiny":            {in: "abcdefgh", limit: 3, want: ""},
		"no head":         {in: "世界世界世界", limit: 7, want: "..."},
		"no tail":         {in: "abcdefgh", limit: 7, want: "ab ..."},
	} {
		t.Run(name, func(t *testing.T) {
			if test.limit == 0 {
				test.limit = 1000
			}
			if got := Text(test.in, test.limit); got != test.want {
				t.Errorf("%+q, want %+q", got, test.want)
			}
		})
	}
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{"", "a", "a\x00\xff\u202e\n b", strings.Repeat("ä ", 300)} {
		f.Add(seed, 64)
	}
	f.Fuzz(func(t *testing.T, in string, limit int) {
		limit = max(limit, 0) % 5000
		got := Text(in, limit)
		if len(got) > limit {
			t.Errorf("%d bytes, want at most %d", len(got), limit)
		}
		if !utf8.ValidString(got) || got != strings.TrimSpace(got) {
			t.Errorf("%+q is not clean", got)
		}
		for _, r := range got {
			if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co) {
				t.Errorf("%+q has %U", got, r)
			}
		}
		if again := Text(got, limit); again != got {
			t.Errorf("%+q becomes %+q when it is cleaned again", got, again)
		}
	})
}

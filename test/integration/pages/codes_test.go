// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"fmt"
	"regexp"
	"slices"
)

var (
	// expectedCode matches a line that ends with a comment such as "# 40400". The number is the code that the JSON of
	// the response must contain.
	expectedCode = regexp.MustCompile(`(?m)^(.*) # (\d+)$`)
	// codeLine matches a line such as "CODE 40400 message" in the output of a script. The number is the code of a
	// response.
	codeLine     = regexp.MustCompile(`(?m)^CODE (\d+) `)
	responseCode = regexp.MustCompile(`\{"code":(\d+),"message":`)
)

// scriptStep returns a step that runs a script. A comment such as "# 40400" after a command is the expected code of the
// response. scriptStep replaces the comment by a command that prints the actual code.
func scriptStep(text string) step {
	s := step{}
	s.command = expectedCode.ReplaceAllStringFunc(text, func(line string) string {
		m := expectedCode.FindStringSubmatch(line)
		s.codes = append(s.codes, m[2])
		return fmt.Sprintf(`%s | sed -E 's/^\{"code":([0-9]+),"message":"([^"]*).*/CODE \1 \2/'`, m[1])
	})
	return s
}

// matchCodes returns an error if the codes of the responses in output differ from want. If want is empty, the code of
// each response must be 0.
func matchCodes(want []string, output string) error {
	pattern := codeLine
	if len(want) == 0 {
		pattern = responseCode
	}
	var got []string
	for _, m := range pattern.FindAllStringSubmatch(output, -1) {
		got = append(got, m[1])
	}
	if len(want) == 0 {
		want = slices.Repeat([]string{"0"}, len(got))
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("the codes are %v, want %v\n%s", got, want, output)
	}
	return nil
}

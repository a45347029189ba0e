// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"fmt"
	"regexp"
	"slices"
)

var (
	// expected matches the expected code at the end of a line of a script.
	expected = regexp.MustCompile(`(?m)^(.*) # (\d+)$`)
	// tagged matches the printed code of a request with an expected code.
	tagged = regexp.MustCompile(`(?m)^CODE (\d+) `)
	// answered matches the code of any response.
	answered = regexp.MustCompile(`\{"code":(\d+),"message":`)
)

// scriptStep returns the step of a script. It changes requests with an expected code to print the code of the response.
func scriptStep(text string) step {
	s := step{}
	s.command = expected.ReplaceAllStringFunc(text, func(line string) string {
		m := expected.FindStringSubmatch(line)
		s.codes = append(s.codes, m[2])
		return fmt.Sprintf(`%s | sed -E 's/^\{"code":([0-9]+),"message":"([^"]*).*/CODE \1 \2/'`, m[1])
	})
	return s
}

// matchCodes returns an error if the codes of the responses differ from the codes on the page. If the page contains no
// codes, all of them must be 0.
func matchCodes(want []string, output string) error {
	pattern := tagged
	if len(want) == 0 {
		pattern = answered
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

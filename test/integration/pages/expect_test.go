// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// varyingText matches text that differs between two runs of a command, such as a time. Each type of text has a named
// group.
var varyingText = regexp.MustCompile(strings.Join([]string{
	`(?P<any>\.\.\.)`,
	`(?P<space>\s+)`,
	`(?P<request>req_[0-9A-Z]{26})`,
	`(?P<id>\b[0-9a-z]{26}\b)`,
	`(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)`,
	`(?P<duration>\b\d+(?:\.\d+)?(?:ms|s|m|h)(?:\d+[ms])?\b)`,
	`(?P<port>localhost:\d+|127\.0\.0\.1:\d+)`,
}, "|"))

// outputPatterns returns a regular expression for each named capture group in varyingText. The keys of the map are the
// names of the groups.
func outputPatterns() map[string]string {
	return map[string]string{
		"any": `[\s\S]*?`, "space": `\s+`, "request": `req_[0-9A-Z]{26}`, "id": `[0-9a-z]{26}`,
		"time": `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`, "duration": `\d+(?:\.\d+)?(?:ms|s|m|h)(?:\d+[ms])?`,
		"port": `(?:localhost|127\.0\.0\.1):\d+`,
	}
}

// match returns an error if got, the output of a command, differs from shown, the output that the page shows. The text
// "..." in shown matches any text.
func match(shown, got string) error {
	shown, got = strings.TrimSpace(shown), strings.TrimSpace(got)
	known := outputPatterns()
	var pattern strings.Builder
	end := 0
	for _, m := range varyingText.FindAllStringSubmatchIndex(shown, -1) {
		pattern.WriteString(regexp.QuoteMeta(shown[end:m[0]]))
		for i, name := range varyingText.SubexpNames() {
			switch {
			case name == "" || m[2*i] < 0:
			case name == "space" && m[0] > 0 && shown[m[0]-1] == ',': // a page may break long lines of JSON
				pattern.WriteString(`\s*`)
			default:
				pattern.WriteString(known[name])
			}
		}
		end = m[1]
	}
	pattern.WriteString(regexp.QuoteMeta(shown[end:]))
	expected, err := regexp.Compile(`\A` + pattern.String() + `\z`)
	if err != nil {
		return err
	}
	if !expected.MatchString(got) {
		return fmt.Errorf("the page shows\n%s\nand the output is\n%s", shown, got)
	}
	return nil
}

func TestMatch(t *testing.T) {
	const shown = `NAME    AGE
alice   20s
{"code":0,"data":...,
"meta":{"requestId":"req_01M81WQQAYJEEP7EH220SBQRHZ"}}`
	const got = `NAME                     AGE
alice                    1m3s
{"code":0,"data":{"a":[1]},"meta":{"requestId":"req_01M81WQQBV5DB98CKKH160EXTM"}}
`
	if err := match(shown, got); err != nil {
		t.Error(err)
	}
	for from, to := range map[string]string{"alice": "bob", `"code":0`: `"code":1`, "1m3s": "now", "}}": "}}}"} {
		if match(shown, strings.Replace(got, from, to, 1)) == nil {
			t.Errorf("%q instead of %q is accepted", to, from)
		}
	}
	if match("", "something") == nil {
		t.Error("an output that differs from the page is accepted")
	}
}

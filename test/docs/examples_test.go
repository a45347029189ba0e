// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func example() *regexp.Regexp {
	return regexp.MustCompile("(?s)<!-- (clients/[^ ]+) -->\n\n```ts\n(.*?)\n```\n")
}

// TestExamplesAreCompiled verifies that the TypeScript listings equal the files that the tests compile and run against
// the server.
func TestExamplesAreCompiled(t *testing.T) {
	source, found := readTree(t), 0
	for page, text := range source.pages(t) {
		for _, m := range example().FindAllStringSubmatch(text, -1) {
			found++
			file, err := os.ReadFile(filepath.Join(source.root, m[1]))
			if err != nil {
				t.Error(err)
				continue
			}
			_, listing, _ := strings.Cut(string(file), "\n\n") // the page omits the license
			listing = strings.ReplaceAll(strings.TrimSpace(listing), `"../src/index.js"`, `"@kubevision/client"`)
			if m[2] != listing {
				t.Errorf("the listing in %s is not %s", page, m[1])
			}
		}
	}
	if found == 0 {
		t.Error("no listings were found")
	}
}

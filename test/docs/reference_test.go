// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/kubevision-io/kubevision/pkg/apiserver/options"
)

// constants returns the values of string constants in the Go files of a directory. The regular expression namePattern
// selects the constants by name.
func constants(tb testing.TB, dir, namePattern string) map[string]bool {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no files in %s: %v", dir, err)
	}
	wanted := regexp.MustCompile(namePattern)
	out := map[string]bool{}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			tb.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !wanted.MatchString(spec.Names[0].Name) {
				return true
			}
			if literal, ok := spec.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
				if value, err := strconv.Unquote(literal.Value); err == nil {
					out[value] = true
				}
			}
			return true
		})
	}
	return out
}

// section returns the names in one column of a table. The table is in the section with the given heading. A name is a
// text in backquotes.
func section(tb testing.TB, page, heading string, column int) map[string]bool {
	tb.Helper()
	_, text, found := strings.Cut(page, "\n## "+heading+"\n")
	if !found {
		tb.Fatalf("there is no section %q", heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	quoted := regexp.MustCompile("`([^`]+)`")
	out := map[string]bool{}
	for line := range strings.Lines(text) {
		cells := strings.Split(line, "|")
		if !strings.HasPrefix(line, "|") || len(cells) <= column+1 {
			continue
		}
		for _, m := range quoted.FindAllStringSubmatch(cells[column+1], -1) {
			out[m[1]] = true
		}
	}
	return out
}

func compare(tb testing.TB, kind string, page, code map[string]bool) {
	tb.Helper()
	if len(code) == 0 {
		tb.Errorf("the code lacks %s", kind)
	}
	for _, name := range slices.Sorted(maps.Keys(code)) {
		if !page[name] {
			tb.Errorf("docs/reference.md lacks the %s %s", kind, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(page)) {
		if !code[name] {
			tb.Errorf("docs/reference.md names the %s %s, which the code does not have", kind, name)
		}
	}
}

// TestReference verifies that docs/reference.md lists the condition reasons, login events, short names, labels,
// annotations and flags that the source code defines.
func TestReference(t *testing.T) {
	source := readTree(t)
	page := source.pages(t)["docs/reference.md"]
	pkg := func(path ...string) string { return filepath.Join(append([]string{source.root}, path...)...) }

	t.Run("reasons", func(t *testing.T) {
		compare(t, "reason", section(t, page, "Reasons", 0),
			constants(t, pkg("pkg", "apis", "kubevision", "v1alpha1"), "^Reason"))
	})
	t.Run("events", func(t *testing.T) {
		compare(t, "event", section(t, page, "Events of logins", 0),
			constants(t, pkg("pkg", "authentication", "audit"), "^[A-Z]"))
	})
	t.Run("short names", func(t *testing.T) {
		compare(t, "short name", section(t, page, "Kinds", 1), shortNames(t, pkg("config", "crd", "bases")))
	})
	t.Run("labels and annotations", func(t *testing.T) {
		known := section(t, page, "Labels and annotations", 0)
		for name := range constants(t, pkg("pkg", "names"), "(Label|Annotation)$") {
			if !known[name] {
				t.Errorf("docs/reference.md lacks %s", name)
			}
		}
	})
	t.Run("flags", func(t *testing.T) { checkFlags(t, source.root, page) })
}

func shortNames(tb testing.TB, dir string) map[string]bool {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		tb.Fatal(err)
	}
	out := map[string]bool{}
	name := regexp.MustCompile(`shortNames:\n {4}- (\S+)`)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		for _, m := range name.FindAllStringSubmatch(string(text), -1) {
			out[m[1]] = true
		}
	}
	return out
}

// checkFlags verifies that docs/reference.md lists exactly the flags that the source code defines. It also verifies the
// documented default values of the flags of kubevision-apiserver.
func checkFlags(t *testing.T, root, page string) {
	defined := regexp.MustCompile(`(?:fs|flags)\.[A-Za-z0-9]+Var\(&?[A-Za-z.]+, "([a-z0-9-]+)"`)
	code := map[string]bool{}
	for _, dir := range []string{"pkg", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path) //nolint:gosec // a file of this repository
			for _, m := range defined.FindAllStringSubmatch(string(text), -1) {
				code["--"+m[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	compare(t, "flag", section(t, page, "Flags", 1), code)

	flags := pflag.NewFlagSet("kubevision-apiserver", pflag.ContinueOnError)
	options.New().AddFlags(flags)
	row := regexp.MustCompile("(?m)^\\|[^|]*\\| `--([a-z-]+)` \\| (?:`([^`]+)`)? *\\|")
	for _, m := range row.FindAllStringSubmatch(page, -1) {
		if f := flags.Lookup(m[1]); f != nil && m[2] != "" && f.DefValue != m[2] {
			t.Errorf("the default of --%s is %s, and not %s", m[1], f.DefValue, m[2])
		}
	}
}

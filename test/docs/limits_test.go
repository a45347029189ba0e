// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"sigs.k8s.io/yaml"

	"github.com/kubevision-io/kubevision/pkg/apiserver"
	"github.com/kubevision-io/kubevision/pkg/apiserver/options"
)

// row is one row of the tables in docs/limits.md.
type row struct {
	grows        string
	setBy, tests []string
}

func columns() []string { return []string{"What grows", "Bound", "Set by", "At the bound", "Test"} }

func rows(tb testing.TB, page string) []row {
	tb.Helper()
	var out []row
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|-") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case len(cells) != len(columns()) || slices.Contains(cells, ""):
			tb.Errorf("a row has not %d cells: %s", len(columns()), line)
		case !slices.Equal(cells, columns()):
			out = append(out, row{grows: cells[0], setBy: strings.Split(cells[2], "; "),
				tests: strings.Split(cells[4], ", ")})
		}
	}
	return out
}

// TestLimits verifies that the limits in docs/limits.md equal the flags and constants of the source code. It also
// verifies that the tests named in docs/limits.md exist.
func TestLimits(t *testing.T) {
	c := newChecker(t)
	text, err := os.ReadFile(filepath.Join(c.root, "docs", "limits.md"))
	if err != nil {
		t.Fatal(err)
	}
	const least = 100
	found := rows(t, string(text))
	if len(found) < least {
		t.Errorf("only %d rows were found", len(found))
	}
	testName := regexp.MustCompile("^`(Test[A-Za-z0-9]+)`$")
	for _, r := range found {
		for _, cell := range r.setBy {
			if err := c.check(cell); err != nil {
				t.Errorf("%s: %v", r.grows, err)
			}
		}
		for _, cell := range r.tests {
			if m := testName.FindStringSubmatch(cell); len(m) != 2 || !c.functions[m[1]] {
				t.Errorf("%s: there is no test %s", r.grows, cell)
			}
		}
	}
}

// TestLimitsOfOtherValues verifies that checker reports each kind of difference between docs/limits.md and the source
// code.
func TestLimitsOfOtherValues(t *testing.T) {
	c := newChecker(t)
	for _, cell := range []string{
		"`--requests-per-user` = `65`", "`--requests` = `64`", "`Config.MaxRequestsInFlight = 4000`",
		"`Config.Nothing = 1`",
		"`MaxBodyBytes = 3 << 21` in `pkg/apiserver/filters/body.go`",
		"`MaxBody = 3 << 20` in `pkg/apiserver/filters/body.go`",
		"`MaxBodyBytes = 3 << 20` in `pkg/apiserver/filters/none.go`",
		"`spec.groups maxItems = 65` in `config/crd/bases/kubevision.io_kubevisionusers.yaml`",
		"`spec.none maxItems = 64` in `config/crd/bases/kubevision.io_kubevisionusers.yaml`",
		"`size() <= 33` in `config/admission/role_bindings.yaml`", "64", "",
	} {
		if err := c.check(cell); err == nil {
			t.Errorf("%q is accepted", cell)
		}
	}
}

// checker compares docs/limits.md with the flags and constants of the source code.
type checker struct {
	*tree

	flags  *pflag.FlagSet
	config reflect.Value
	// values[file][name] is the source text of each value that a Go file assigns to a constant or struct field. One
	// file can assign several values to the same struct field.
	values map[string]map[string][]string
}

func newChecker(tb testing.TB) *checker {
	tb.Helper()
	flags := pflag.NewFlagSet("kubevision-apiserver", pflag.ContinueOnError)
	options.New().AddFlags(flags)
	_, codecs := apiserver.NewCodecs()
	return &checker{
		tree: readTree(tb), flags: flags, values: map[string]map[string][]string{},
		config: reflect.ValueOf(genericapiserver.NewRecommendedConfig(codecs).Config),
	}
}

func (c *checker) check(cell string) error {
	for _, form := range []struct {
		pattern string
		check   func(m []string) error
	}{
		{"^`--([a-z0-9-]+)` = `([^`]+)`$", c.checkFlag},
		{"^`Config\\.([A-Za-z]+) = ([0-9]+)`$", c.checkLibrary},
		{"^`([A-Za-z]+) = ([^`]+)` in `([^`]+\\.go)`$", c.checkConstant},
		{"^`([A-Za-z.]+) (max[A-Za-z]+) = ([0-9]+)` in `(config/crd/[^`]+)`$", c.checkSchema},
		{"^`([^`]+)` in `(config/[^`]+)`$", c.checkText},
	} {
		if m := regexp.MustCompile(form.pattern).FindStringSubmatch(cell); m != nil {
			return form.check(m[1:])
		}
	}
	return fmt.Errorf("%q is neither a flag nor a constant", cell)
}

func (c *checker) checkFlag(m []string) error {
	f := c.flags.Lookup(m[0])
	if f == nil {
		return fmt.Errorf("there is no flag --%s", m[0])
	}
	if f.DefValue != m[1] {
		return fmt.Errorf("the default of --%s is %s", m[0], f.DefValue)
	}
	return nil
}

// checkLibrary returns an error unless m[1] is the default value of the field m[0] in the configuration of
// k8s.io/apiserver.
func (c *checker) checkLibrary(m []string) error {
	field := c.config.FieldByName(m[0])
	if !field.IsValid() || fmt.Sprint(field) != m[1] {
		return fmt.Errorf("%s is %v", m[0], field)
	}
	return nil
}

func (c *checker) checkConstant(m []string) error {
	name, value, file := m[0], m[1], m[2]
	if c.values[file] == nil {
		if err := c.read(file); err != nil {
			return err
		}
	}
	found := c.values[file][name]
	if !slices.Contains(found, value) {
		return fmt.Errorf("%s is %v in %s", name, found, file)
	}
	return nil
}

func (c *checker) read(file string) error {
	text, err := os.ReadFile(filepath.Join(c.root, file))
	if err != nil {
		return err
	}
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, file, text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	values := map[string][]string{}
	note := func(name ast.Expr, value ast.Expr) {
		if ident, ok := name.(*ast.Ident); ok {
			from, to := files.Position(value.Pos()).Offset, files.Position(value.End()).Offset
			values[ident.Name] = append(values[ident.Name], string(text[from:to]))
		}
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			for i := range min(len(n.Names), len(n.Values)) {
				note(n.Names[i], n.Values[i])
			}
		case *ast.KeyValueExpr:
			note(n.Key, n.Value)
		}
		return true
	})
	c.values[file] = values
	return nil
}

func (c *checker) checkSchema(m []string) error {
	path, bound, value, file := m[0], m[1], m[2], m[3]
	text, err := os.ReadFile(filepath.Join(c.root, file))
	if err != nil {
		return err
	}
	var definition struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					Root map[string]any `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(text, &definition); err != nil || len(definition.Spec.Versions) == 0 {
		return fmt.Errorf("%s is not a CustomResourceDefinition: %w", file, err)
	}
	at := definition.Spec.Versions[0].Schema.Root
	for field := range strings.SplitSeq(path, ".") {
		properties, _ := at["properties"].(map[string]any)
		at, _ = properties[field].(map[string]any)
	}
	if fmt.Sprint(at[bound]) != value {
		return fmt.Errorf("%s of %s is %v in %s", bound, path, at[bound], file)
	}
	return nil
}

func (c *checker) checkText(m []string) error {
	text, err := os.ReadFile(filepath.Join(c.root, m[1]))
	if err != nil {
		return err
	}
	if !regexp.MustCompile(regexp.QuoteMeta(m[0]) + `(\D|$)`).Match(text) {
		return fmt.Errorf("%q is not in %s", m[0], m[1])
	}
	return nil
}

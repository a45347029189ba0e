// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package docs verifies that the pages in docs/ refer to existing tests, files, flags and limits.
package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/hack/localcluster"
)

type tree struct {
	root string
	// functions contains the names of the functions without a receiver in _test.go files.
	functions map[string]bool
}

func readTree(tb testing.TB) *tree {
	tb.Helper()
	root, err := localcluster.ModuleRoot()
	if err != nil {
		tb.Fatal(err)
	}
	t := &tree{root: root, functions: map[string]bool{}}
	err = filepath.WalkDir(filepath.Join(root, "."), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root:
			return filepath.SkipDir
		case strings.HasSuffix(path, "_test.go"):
			return t.addFunctions(path)
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func (t *tree) addFunctions(path string) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
			t.functions[f.Name.Name] = true
		}
	}
	return nil
}

// pages returns the text of every page by its path relative to the root.
func (t *tree) pages(tb testing.TB) map[string]string {
	tb.Helper()
	out := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		paths, err := filepath.Glob(filepath.Join(t.root, pattern))
		if err != nil {
			tb.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				tb.Fatal(err)
			}
			name, err := filepath.Rel(t.root, path)
			if err != nil {
				tb.Fatal(err)
			}
			out[name] = string(text)
		}
	}
	if len(out) < 5 {
		tb.Fatalf("only %d pages were found", len(out))
	}
	return out
}

func TestPagesNameTestsThatExist(t *testing.T) {
	source, named := readTree(t), regexp.MustCompile("`((?:Test|Benchmark|Fuzz)[A-Z][A-Za-z0-9]*)`")
	for page, text := range source.pages(t) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if !source.functions[m[1]] {
				t.Errorf("%s names %s, which does not exist", page, m[1])
			}
		}
	}
}

func TestPagesLinkToFilesThatExist(t *testing.T) {
	source, link := readTree(t), regexp.MustCompile(`\]\(([^)#\s:]+)(?:#[^)]*)?\)`)
	for page, text := range source.pages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target := filepath.Join(source.root, filepath.Dir(page), m[1])
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, m[1])
			}
		}
	}
}

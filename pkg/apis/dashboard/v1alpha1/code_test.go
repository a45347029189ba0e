// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// TestCodesAreNamed verifies that CodeNames returns the name of each result code of the API, for example "Forbidden".
func TestCodesAreNamed(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "code.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared, named []string
	for name, object := range file.Scope.Objects {
		if object.Kind == ast.Con {
			declared = append(declared, strings.TrimPrefix(name, "Code"))
		}
	}
	for _, name := range CodeNames() {
		named = append(named, name)
	}
	slices.Sort(declared)
	slices.Sort(named)
	if !slices.Equal(declared, named) {
		t.Errorf("the constants are %v, the names %v", declared, named)
	}
}

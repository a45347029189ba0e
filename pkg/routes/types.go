// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import "cmp"

// Type is the OpenAPI type of a query parameter. The zero value allows every string.
type Type struct {
	// Values contains the allowed values of a string. If it is empty, all strings are allowed.
	Values []string

	kind string
}

// Integer returns the OpenAPI type integer.
func Integer() Type { return Type{kind: "integer"} }

// Boolean returns the OpenAPI type boolean.
func Boolean() Type { return Type{kind: "boolean"} }

// OneOf returns the type of strings that equal one of the given values.
func OneOf(values ...string) Type { return Type{Values: values} }

func (t Type) name() string { return cmp.Or(t.kind, "string") }

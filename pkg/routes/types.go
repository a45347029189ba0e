// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import "cmp"

// Type is the type of a query parameter in OpenAPI. The zero value is any string.
type Type struct {
	// Values are the allowed values of a string. Empty means no restriction.
	Values []string

	kind string
}

// Integer returns the type of integers.
func Integer() Type { return Type{kind: "integer"} }

// Boolean returns the type of true and false.
func Boolean() Type { return Type{kind: "boolean"} }

// OneOf returns the type of strings with one of the given values.
func OneOf(values ...string) Type { return Type{Values: values} }

func (t Type) name() string { return cmp.Or(t.kind, "string") }

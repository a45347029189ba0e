// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// HasField returns true if the Go type of kind has a field at path. Each segment of path is the JSON name of a field, a
// key of a map, or an index of a slice. known is false if kind is not one of Kubernetes' own kinds.
func HasField(kind schema.GroupVersionKind, path ...string) (has, known bool) {
	t, known := scheme.Scheme.AllKnownTypes()[kind]
	if !known {
		return false, false
	}
	for _, segment := range path {
		if t = typeAt(t, segment); t == nil {
			return false, true
		}
	}
	return true, true
}

// typeAt returns the type of a field or element of t, or nil if there is none. segment is the JSON name of a field, a
// key of a map, or an index of a slice.
func typeAt(t reflect.Type, segment string) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Map, reflect.Slice, reflect.Array:
		return t.Elem()
	case reflect.Struct:
		return fieldOf(t, segment)
	default:
		return nil
	}
}

// fieldOf returns the type of the field with the given JSON name in the struct type t, or nil if there is none. Types
// with a custom JSON encoding, such as metav1.Time and resource.Quantity, have no fields.
func fieldOf(t reflect.Type, name string) reflect.Type {
	pointer := reflect.PointerTo(t)
	own := []reflect.Type{reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]()}
	for _, own := range own { //nolint:modernize // a closure is longer
		if pointer.Implements(own) {
			return nil
		}
	}
	for field := range t.Fields() {
		tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case tag == name && field.IsExported():
			return field.Type
		case tag == "" && field.Anonymous:
			if found := fieldOf(field.Type, name); found != nil {
				return found
			}
		}
	}
	return nil
}

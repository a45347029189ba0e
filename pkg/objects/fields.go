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

// HasField returns true if objects of one of Kubernetes' own kinds have a field at a path. known is false for other
// kinds. A segment of the path is the name of a field, a key of a map, or the index of an element.
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

// typeAt returns the type at a segment of a path, or nil.
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

// fieldOf returns the type of a field by its name in JSON. Types with a custom encoding, such as times and quantities,
// have no fields.
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

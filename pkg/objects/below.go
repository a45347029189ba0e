// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"reflect"
	"time"
)

const (
	// textBytes is the assumed overhead of allocating memory for the characters of a string, in bytes. It does not
	// include the string header.
	textBytes = 8
	// entryBytes is the assumed memory overhead of a map entry in addition to its key and value, in bytes.
	entryBytes = 48
)

// referencedBytes returns the approximate number of bytes that v references through pointers, strings, slices and maps.
// It does not include the size of v itself.
func referencedBytes(v reflect.Value) (bytes int64) {
	switch v.Kind() {
	case reflect.String:
		if v.Len() > 0 {
			bytes = textBytes + int64(v.Len())
		}
	case reflect.Slice:
		bytes = int64(v.Cap()) * sizeOf(v.Type().Elem())
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return bytes
		}
		for i := range v.Len() {
			bytes += referencedBytes(v.Index(i))
		}
	case reflect.Map:
		bytes = int64(v.Len()) * (entryBytes + 2*(sizeOf(v.Type().Key())+sizeOf(v.Type().Elem())))
		for entries := v.MapRange(); entries.Next(); {
			bytes += referencedBytes(entries.Key()) + referencedBytes(entries.Value())
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			bytes = sizeOf(v.Elem().Type()) + referencedBytes(v.Elem())
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() { // the values share their *time.Location
			return 0
		}
		for i := range v.NumField() { //nolint:modernize // Fields yields copies
			bytes += referencedBytes(v.Field(i))
		}
	default: // the kind refers to no other memory
	}
	return bytes
}

func sizeOf(t reflect.Type) int64 { return int64(t.Size()) } //nolint:gosec // a size of a type is small

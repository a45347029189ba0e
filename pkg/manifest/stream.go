// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"maps"
	"strings"
)

// ParseAll decodes several objects. The body has one of these forms:
//
//   - a stream of YAML documents
//   - a JSON object
//   - {"manifest": value}, in which the value is an object
//   - {"manifest": value}, in which the value is a string that contains one of the first two forms
//
// ParseAll replaces a list of objects, for example an object of kind List, with the items of the list.
//
// ParseAll returns the errors of Parse. It also returns an error with the code 42200 if there are no objects, or more
// than maxObjects.
func ParseAll(contentType string, body []byte, maxObjects int) ([]map[string]any, error) {
	isJSON, err := isJSONManifest(contentType, body)
	if err != nil {
		return nil, err
	}
	found, err := decodeAll(body, isJSON)
	if err != nil {
		return nil, err
	}
	if wrapped, ok := wrapping(found, isJSON); ok {
		if text, ok := wrapped.(string); ok {
			found, err = decodeAll([]byte(text), false)
		} else {
			found = make([]map[string]any, 1)
			found[0], err = unwrap(wrapped)
		}
		if err != nil {
			return nil, err
		}
	}
	var out []map[string]any
	for _, object := range found {
		if out, err = flatten(out, object); err != nil {
			return nil, err
		}
		if len(out) > maxObjects {
			return nil, unparseable("there are more than %d objects", maxObjects)
		}
	}
	if len(out) == 0 {
		return nil, unparseable("there are no objects")
	}
	return out, nil
}

// wrapping returns true if there is exactly one object, and this object only wraps a manifest (see isWrapper). It also
// returns the wrapped manifest: the value of the object's field "manifest".
func wrapping(objects []map[string]any, isJSON bool) (any, bool) {
	if len(objects) != 1 {
		return nil, false
	}
	wrapped, ok := objects[0]["manifest"]
	return wrapped, ok && isWrapper(objects[0], isJSON)
}

func decodeAll(body []byte, isJSON bool) ([]map[string]any, error) {
	if isJSON {
		object, err := decode(body, true)
		return []map[string]any{object}, err
	}
	documents, err := documentsOf(body)
	if err != nil {
		return nil, err
	}
	var out []map[string]any
	for _, d := range documents {
		object, err := d.decode()
		if err != nil {
			return nil, err
		}
		if object != nil {
			out = append(out, object)
		}
	}
	return out, nil
}

// flatten appends object to out. If object is a list, it appends the items of the list instead, recursively.
func flatten(out []map[string]any, object map[string]any) ([]map[string]any, error) {
	items, isList := itemsOf(object)
	if !isList {
		return append(out, object), nil
	}
	for i, item := range items {
		o, ok := item.(map[string]any)
		if !ok {
			return nil, unparseable("items[%d] of a list is not an object", i)
		}
		var err error
		if out, err = flatten(out, typed(o, object)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

const listSuffix = "List"

// itemsOf returns the items of object, and true if object is a list. A list has items, no name, and a kind that ends
// with List.
func itemsOf(object map[string]any) ([]any, bool) {
	kind, _ := object["kind"].(string)
	items, hasItems := object["items"].([]any)
	metadata, _ := object["metadata"].(map[string]any)
	return items, strings.HasSuffix(kind, listSuffix) && hasItems && metadata["name"] == nil
}

// typed returns the item with its kind and apiVersion. It derives a missing kind or apiVersion from the list. For
// example, an item of a PodList is a Pod. It does not change the items of a List, because the kind List does not
// contain the kind of the items.
func typed(item, list map[string]any) map[string]any {
	kind, _ := list["kind"].(string)
	if kind == listSuffix || (item["kind"] != nil && item["apiVersion"] != nil) {
		return item
	}
	item = maps.Clone(item)
	if item["kind"] == nil {
		item["kind"] = strings.TrimSuffix(kind, listSuffix)
	}
	if item["apiVersion"] == nil {
		item["apiVersion"] = list["apiVersion"]
	}
	return item
}

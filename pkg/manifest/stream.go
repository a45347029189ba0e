// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"maps"
	"strings"
)

// ParseAll reads several objects: a stream of YAML documents, a JSON object, or {"manifest": ...} around one of the
// two. A list, such as one of kind List, is replaced by its items. It returns the errors of Parse, and an error if
// there are more than most objects.
func ParseAll(contentType string, body []byte, most int) ([]map[string]any, error) {
	isJSON, err := isJSONManifest(contentType, body)
	if err != nil {
		return nil, err
	}
	found, err := decodeAll(body, isJSON)
	if err != nil {
		return nil, err
	}
	if wrapped, ok := wrapping(found); ok {
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
		if len(out) > most {
			return nil, unparseable("there are more than %d objects", most)
		}
	}
	if len(out) == 0 {
		return nil, unparseable("there are no objects")
	}
	return out, nil
}

// wrapping returns the value of the field manifest and true, if there is one object and it has only this field.
func wrapping(objects []map[string]any) (any, bool) {
	if len(objects) != 1 || len(objects[0]) != 1 {
		return nil, false
	}
	wrapped, ok := objects[0]["manifest"]
	return wrapped, ok
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

// flatten appends an object, or the items of a list.
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

// itemsOf returns the items of a list. An object is a list if its kind ends in List, and it has items and no name.
func itemsOf(object map[string]any) ([]any, bool) {
	kind, _ := object["kind"].(string)
	items, hasItems := object["items"].([]any)
	metadata, _ := object["metadata"].(map[string]any)
	return items, strings.HasSuffix(kind, listSuffix) && hasItems && metadata["name"] == nil
}

// typed sets the kind of an item of a typed list, whose items may omit it.
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

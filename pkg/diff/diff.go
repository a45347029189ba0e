// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package diff compares two versions of an API object. Its results are shown to users.
package diff

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/aymanbagabas/go-udiff"
	"go.yaml.in/yaml/v3"
	kjson "sigs.k8s.io/json"
)

const indent = 2

// serverFields returns the fields of metadata that only the API server sets. They are ignored in comparisons.
func serverFields() []string {
	return []string{"managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink"}
}

// Readable decodes the JSON of an object and removes the fields that only the API server sets.
func Readable(object []byte) (map[string]any, error) {
	var o map[string]any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(object, &o); err != nil {
		return nil, fmt.Errorf("reading an object: %w", err)
	}
	if metadata, ok := o["metadata"].(map[string]any); ok {
		for _, field := range serverFields() {
			delete(metadata, field)
		}
	}
	return o, nil
}

// YAML converts a JSON object to YAML in the format of kubectl, and omits the fields that only the API server sets. It
// decodes the object as JSON, and not as YAML, because strings in JSON may contain characters that YAML does not allow.
func YAML(object []byte) (string, error) {
	readable, err := Readable(object)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(indent)
	encoder.CompactSeqIndent()
	if err := errors.Join(encoder.Encode(readable), encoder.Close()); err != nil {
		return "", fmt.Errorf("writing an object as YAML: %w", err)
	}
	return text.String(), nil
}

// Unified converts two JSON objects to YAML and returns the differences in the unified format of diff. It returns an
// empty string if there are no differences.
func Unified(oldName string, old []byte, newName string, updated []byte) (string, error) {
	oldText, err := YAML(old)
	if err != nil {
		return "", err
	}
	newText, err := YAML(updated)
	if err != nil {
		return "", err
	}
	return udiff.Unified(oldName, newName, oldText, newText), nil
}

// Paths returns the paths of the fields that differ, in sorted order, for example .spec.containers[0].image. It returns
// an empty slice, not nil, if no field differs.
func Paths(old, updated []byte) ([]string, error) {
	before, err := Readable(old)
	if err != nil {
		return nil, err
	}
	after, err := Readable(updated)
	if err != nil {
		return nil, err
	}
	return compare([]string{}, "", before, after), nil
}

func compare(paths []string, path string, before, after any) []string {
	switch b := before.(type) {
	case map[string]any:
		if a, ok := after.(map[string]any); ok {
			return compareMaps(paths, path, b, a)
		}
	case []any:
		if a, ok := after.([]any); ok {
			return compareLists(paths, path, b, a)
		}
	default: // the remaining types are comparable
		switch after.(type) {
		case map[string]any, []any:
		default:
			if before == after {
				return paths
			}
		}
	}
	return append(paths, path)
}

func compareMaps(paths []string, path string, before, after map[string]any) []string {
	keys := maps.Clone(before)
	maps.Copy(keys, after)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		b, had := before[key]
		a, has := after[key]
		if had && has {
			paths = compare(paths, path+field(key), b, a)
		} else {
			paths = append(paths, path+field(key))
		}
	}
	return paths
}

func compareLists(paths []string, path string, before, after []any) []string {
	for i := range max(len(before), len(after)) {
		item := path + "[" + strconv.Itoa(i) + "]"
		if i < len(before) && i < len(after) {
			paths = compare(paths, item, before[i], after[i])
		} else {
			paths = append(paths, item)
		}
	}
	return paths
}

var simpleKey = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$-]*$`)

func field(key string) string {
	if simpleKey.MatchString(key) {
		return "." + key
	}
	return "[" + strconv.Quote(key) + "]"
}

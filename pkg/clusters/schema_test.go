// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestReadSchema(t *testing.T) {
	document := []byte(`{"openapi":"3.0.0","components":{"schemas":{
		"a":null,"b":{},"c":{"x-kubernetes-group-version-kind":[{"group":"g","version":"v1","kind":"Other"}],
			"properties":{"name":{}}},
		"d":{"properties":{"spec":{"properties":{"raw":{}}},"\u0072aw":{}},
			"x-kubernetes-group-version-kind":[{"group":"","version":"v1","kind":"Mine"},
				{"group":"g","version":"v1","kind":"Mine"}]},
		"e":{"x-kubernetes-preserve-unknown-fields":true,
			"x-kubernetes-group-version-kind":[{"group":"g","version":"v1","kind":"Open"}]}}}}`)
	kind := schema.GroupVersionKind{Group: "g", Version: "v1", Kind: "Mine"}
	mine, err := readSchema(document, kind)
	if err != nil || !mine.Has("raw") || !mine.Has("spec") || mine.Has("name") {
		t.Errorf("%+v, %v", mine, err)
	}
	kind.Kind = "Open"
	if open, err := readSchema(document, kind); err != nil || !open.Has("name") {
		t.Errorf("a schema without fields: %+v, %v", open, err)
	}
	kind.Kind = "Missing"
	for _, document := range []string{
		string(document), `{"components":{"schemas":[]}}`, `{"components":{}}`, `[]`, `{"components":`, ``,
	} {
		if found, err := readSchema([]byte(document), kind); !errors.Is(err, errNoSchema) {
			t.Errorf("%q: %+v, %v", document, found, err)
		}
	}
}

// TestElementsOfASchema verifies that readSchema allocates little memory for an OpenAPI document with very many small
// elements. A hostile member cluster could send such a document.
func TestElementsOfASchema(t *testing.T) {
	const bytes = 512 << 10
	kind := schema.GroupVersionKind{Group: "g", Version: "v1", Kind: "Mine"}
	own := `"own":{"x-kubernetes-group-version-kind":[{"group":"g","version":"v1","kind":"Mine"}],"properties":{`
	for name, document := range map[string]string{
		"schemas": `{"components":{"schemas":{` + strings.Repeat(`"a":{},`, bytes/7) + own + `}}}}}`,
		"kinds": `{"components":{"schemas":{"a":{"x-kubernetes-group-version-kind":[{}` +
			strings.Repeat(`,{}`, bytes/3) + `]},` + own + `}}}}}`,
		"fields": `{"components":{"schemas":{` + own + strings.Repeat(`"a":0,`, bytes/6) + `"last":0}}}}}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := readSchema([]byte(document), kind)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; err != nil || grown > 2*bytes {
			t.Errorf("%s: %d bytes, %v", name, grown, err)
		}
	}
}

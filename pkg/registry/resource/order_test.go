// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/objects"
)

func TestParsePath(t *testing.T) {
	for text, want := range map[string]string{
		"a.b": "a b", ".a.b": "a b", "{.a.b}": "a b", "a[0].b": "a 0 b", "a[-1]": "a -1", "a[*].b": "a 0 b",
		`a.b\.c/d`:     "a b.c/d",
		"a['b.c/d'].e": "a b.c/d e", `a["b"]`: "a b",
		"": "-", "{a": "-", "a..b": "-", "a.": "-", "$": "-", "a[x]": "-", "a[?(@.b)]": "-", "a[0": "-", "a b": "-",
		"..a":                          "-",
		strings.Repeat("a.", 16) + "a": "-", strings.Repeat("a", maxPath+1): "-",
	} {
		got, ok := parsePath(text)
		if joined := strings.Join(got, " "); (ok && joined != want) || ok == (want == "-") {
			t.Errorf("%q: %q (%v), want %q", text, joined, ok, want)
		}
	}
}

func TestValuesAreComparedAsTheyAreMeant(t *testing.T) {
	o := order{sortBy: "x"}
	for _, inOrder := range [][]string{
		{"-1", "0", `"500m"`, `"1"`, "2", "10", `"1k"`, `"1Ki"`, "1e4", `"1M"`, `"1Mi"`, `"1E"`, `"1e99"`, "1e300",
			`"a"`, "null"},
		{`"1n"`, `"1u"`, `"1m"`, "1"},
		{"9007199254740992", "9007199254740993", `"9007199254740994"`},
		{`"2026-01-01T00:00:00Z"`, `"2026-01-02T00:00:00Z"`},
		{"false", "true"},
		{`"10a"`, `"9a"`, `"Z"`, `"a"`},
	} {
		var keys []sortKey
		for _, raw := range inOrder {
			key, ok := keyOf(json.RawMessage(raw))
			if !ok {
				t.Fatalf("%s has no order", raw)
			}
			keys = append(keys, key)
		}
		for i := 1; i < len(keys); i++ {
			if o.compare(keys[i-1], keys[i]) >= 0 || o.compare(keys[i], keys[i-1]) <= 0 {
				t.Errorf("%s is not before %s", inOrder[i-1], inOrder[i])
			}
		}
	}
	for _, raw := range []string{"{}", "[]", `{"a":1}`} {
		if _, ok := keyOf(json.RawMessage(raw)); ok {
			t.Errorf("%s has an order", raw)
		}
	}
	for _, text := range []string{"1e2000000000", "1e100", strings.Repeat("9", 50), "1Xi", "Ki", "1.2.3", "1E5i", "+",
		"0x1"} {
		if _, ok := parseQuantity(text); ok {
			t.Errorf("%s is taken for a quantity", text)
		}
	}
}

func objectOf(t *testing.T, text string) objects.Object {
	t.Helper()
	var o objects.Object
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestDerivedValues(t *testing.T) {
	kind := func(group, plural string) clusters.Resource {
		var r clusters.Resource
		r.Group, r.Version, r.GroupVersionResource.Resource = group, "v1", plural
		return r
	}
	const init = `"initContainers":[{"name":"i"},{"name":"s","restartPolicy":"Always"}]`
	const restarted = `"initContainerStatuses":[{"name":"i","restartCount":4},{"name":"s","restartCount":2}],` +
		`"containerStatuses":[{"restartCount":1}]`
	for name, tc := range map[string]struct {
		r            clusters.Resource
		sortBy, text string
		want         string
	}{
		"restarts": {kind("", "pods"), "restarts",
			`{"status":{"containerStatuses":[{"restartCount":3},{"restartCount":4}]}}`, "7"},
		"no restarts": {kind("", "pods"), "restarts", `{}`, "0"},
		"before initialization": {kind("", "pods"), "restarts", `{"spec":{` + init + `},"status":{` + restarted + `}}`,
			"7"},
		"after initialization": {
			kind("", "pods"), "restarts",
			`{"spec":{` + init + `},"status":{"conditions":[{"type":"Initialized",` +
				`"status":"True"}],` + restarted + `}}`, "3",
		},
		"what Pods ask for": {kind("", "pods"), "cpu",
			`{"spec":{"containers":[{"resources":{"requests":{"cpu":"500m"}}},` +
				`{"resources":{"requests":{"cpu":2}}},{}]}}`, "5/2"},
		"what Pods use": {kind("metrics.k8s.io", "pods"), "memory",
			`{"containers":[{"usage":{"memory":"1Ki"}},{"usage":{"memory":"1"}}]}`, "1025"},
		"what nodes use":   {kind("metrics.k8s.io", "nodes"), "cpu", `{"usage":{"cpu":"1500m"}}`, "3/2"},
		"a hostile number": {kind("metrics.k8s.io", "nodes"), "cpu", `{"usage":{"cpu":"1e2000000000"}}`, "0"},
		"the last of the times": {kind("", "events"), "lastSeen",
			`{"metadata":{"creationTimestamp":"1970-01-01T00:00:05Z"},"lastTimestamp":"1970-01-01T00:00:07Z"}`, "7"},
		"of the other API": {kind("events.k8s.io", "events"), "lastSeen",
			`{"eventTime":"1970-01-01T00:00:01.500000Z","deprecatedLastTimestamp":null}`, "3/2"},
		"of a series": {kind("events.k8s.io", "events"), "lastSeen",
			`{"eventTime":"1970-01-01T00:00:01.500000Z","series":{"lastObservedTime":"1970-01-01T00:01:00.000000Z"}}`,
			"60"},
		"what cannot be decoded": {kind("", "events"), "lastSeen", `{"lastTimestamp":7}`, ""},
	} {
		o, err := readOrder(tc.sortBy, "")
		if err != nil {
			t.Fatal(err)
		}
		o.forResource(tc.r)
		key, err := o.key(objectOf(t, tc.text))
		got := ""
		if key.number != nil {
			got = strings.TrimSuffix(key.number.String(), "/1")
		}
		if err != nil || got != tc.want {
			t.Errorf("%s: %q (%v), want %q", name, got, err, tc.want)
		}
	}
	if o, err := readOrder("cpu", ""); err != nil || !slices.Equal(o.path, []string{"cpu"}) {
		t.Errorf("a field of that name: %v, %v", o.path, err)
	}
}

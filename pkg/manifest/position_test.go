// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/pkg/envelope"
)

func TestErrorsSayWhereAndWhy(t *testing.T) {
	for name, tc := range map[string]struct{ contentType, body, want string }{
		"a bad indent": {YAML, "kind: Pod\n  spec: x\n",
			"line 2, column 7: mapping values are not allowed in this context"},
		"half an indent": {YAML, "a:\n  b: 1\n c: 2\n", "line 3, column 2: did not find expected key"},
		"a tab": {YAML, "kind:\n\t- Pod\n",
			"line 2, column 1: found character that cannot start any token"},
		"no colon":              {YAML, "a: b\nc\nd: e\n", "line 3, column 1: could not find expected ':'"},
		"no end of a list":      {YAML, "a: [1, 2\nb: 3\n", "line 2, column 2: did not find expected ',' or ']'"},
		"no end of a text":      {YAML, "a: 'b\nc: d\n", "line 3, column 1: found unexpected end of stream"},
		"a template":            {YAML, "a: {{ .Values.x }}\n", "line 1, column"},
		"a value of a template": {YAML, "a: %x\n", "line 1, column 4: found character that cannot start any token"},
		"an unknown anchor":     {YAML, "a: b\nkind: *canary\n", "line 2, column 7: unknown anchor"},
		"in a later document": {YAML, "---\n# x\n---\n\nkind: Pod\n  spec: x\n",
			"line 6, column 7: mapping values are not allowed in this context"},
		"a key of a list": {YAML, "a: b\n? [x]\n: y\n", "line 2, column 3: the key is not a scalar"},
		"a key twice": {YAML, "---\n---\nkind: Pod\nkind: Pod\n",
			`key "kind" in line 4, column 1 is a duplicate of line 3`},
		"a large number": {YAML, "a: 1\nb:\n  c: 9223372036854775808\n",
			"b.c in line 3, column 6 is an integer"},
		"half of JSON": {JSON, "{\"kind\":\n  \"Pod\"", "line 2, column 7: unexpected end of JSON input"},
		"no comma in JSON": {JSON, "{\"a\": 1\n \"b\": 2}",
			"line 2, column 2: invalid character after object key:value pair"},
		"an unquoted text": {JSON, "{\"a\": canary}",
			"line 1, column 7: invalid character looking for beginning of value"},
		"more after the JSON": {JSON, "{}{}", "line 1, column 3: invalid character after top-level value"},
		"in the text of a manifest": {JSON, `{"manifest":"a: b\nc: d: e"}`,
			"line 2, column 5: mapping values are not allowed in this context"},
	} {
		_, err := Parse(tc.contentType, []byte(tc.body))
		if err == nil || envelope.As(err).Code != 42200 || !strings.Contains(envelope.As(err).Message, tc.want) {
			t.Errorf("%s: %v, want 42200 at %s", name, err, tc.want)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error quotes the text: %v", name, err)
		}
	}
}

func TestParseAll(t *testing.T) {
	const item = `{"kind":"Pod","apiVersion":"v1"}`
	for name, tc := range map[string]struct {
		contentType, body string
		want              int
	}{
		"one":                  {YAML, "kind: Pod\n", 1},
		"two":                  {YAML, "kind: Pod\n---\nkind: Pod\n", 2},
		"two, and empty ones":  {YAML, "---\n# x\n---\nkind: Pod\n---\n---\nkind: Pod\n---\n", 2},
		"three without an end": {YAML, "kind: Pod\n...\n---\nkind: Pod\n--- # comment\nkind: Pod", 3},
		"a list":               {JSON, `{"kind":"List","apiVersion":"v1","items":[` + item + "," + item + `]}`, 2},
		"a list of one kind": {JSON,
			`{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[{},{"kind":"Pod",` +
				`"apiVersion":"v1"}]}`, 2},
		"a list in a list": {YAML, "kind: List\nitems:\n- {kind: List, items: [" + item + ", " + item + "]}\n- " +
			item + "\n---\n" + item, 4},
		"a text in a manifest":  {JSON, `{"manifest":"kind: Pod\n---\nkind: Pod\n"}`, 2},
		"a manifest and a code": {JSON, `{"manifest":"kind: Pod\n---\nkind: Pod\n","totpCode":"123456"}`, 2},
		"a list in a manifest":  {JSON, `{"manifest":{"kind":"List","items":[` + item + `]}}`, 1},
	} {
		got, err := ParseAll(tc.contentType, []byte(tc.body), 10)
		if err != nil || len(got) != tc.want {
			t.Errorf("%s: %v (%v), want %d objects", name, got, err, tc.want)
		}
		for _, o := range got {
			if o["kind"] != "Pod" {
				t.Errorf("%s: %v", name, o)
			}
		}
	}
	if all, err := split([]byte(strings.Repeat("--- ~\n", maxDocuments))); err != nil || len(all) != maxDocuments {
		t.Errorf("the maximum number of documents: got %d, %v", len(all), err)
	}
	if _, err := split([]byte(strings.Repeat("--- ~\n", maxDocuments+1))); err == nil {
		t.Error("one more than the maximum number of documents is accepted")
	}
	for name, body := range map[string]string{
		"too many":           strings.Repeat("---\nkind: Pod\n", 11),
		"too many in a list": `{"kind":"List","items":[` + strings.Repeat(item+",", 11) + `]}`,
		"nothing":            "---\n# nothing\n",
		"an empty list":      "kind: List\nitems: []\n",
		"a number in a list": "kind: List\nitems: [1]\n",
		"a text":             "kind: Pod\n---\nhello\n",
		"two in one":         "kind: Pod\n---\nkind: Pod\nkind: Pod\n",
		"too many documents": strings.Repeat("--- ~\n", maxDocuments+1),
		"a nested list":      strings.Repeat("{kind: List, items: [", 60) + strings.Repeat("]}", 60),
	} {
		if _, err := ParseAll(YAML, []byte(body), 10); err == nil || envelope.As(err).Code != 42200 {
			t.Errorf("%s: got %v, want 42200", name, err)
		}
	}
}

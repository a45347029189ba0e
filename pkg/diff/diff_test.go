// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPaths(t *testing.T) {
	for name, tc := range map[string]struct {
		before, after string
		want          []string
	}{
		"nothing": {`{"a":{"b":[1,"x",null]}}`, `{"a":{"b":[1,"x",null]}}`, []string{}},
		"a kept value": {`{"metadata":{"name":"a","resourceVersion":"1","uid":"u","managedFields":[{}]}}`,
			`{"metadata":{"name":"a","generation":2}}`, []string{}},
		"a value":       {`{"spec":{"replicas":1}}`, `{"spec":{"replicas":2}}`, []string{".spec.replicas"}},
		"an item":       {`{"c":[{"i":"a"},{"i":"b"}]}`, `{"c":[{"i":"a"},{"i":"c"}]}`, []string{".c[1].i"}},
		"more items":    {`{"c":[1]}`, `{"c":[1,2,3]}`, []string{".c[1]", ".c[2]"}},
		"fewer items":   {`{"c":[1,2]}`, `{"c":[1]}`, []string{".c[1]"}},
		"a new key":     {`{"a":{}}`, `{"a":{"b":{"c":1}}}`, []string{".a.b"}},
		"a removed key": {`{"a":1,"b":null}`, `{"a":1}`, []string{".b"}},
		"another type": {`{"a":{"b":1},"c":[1],"d":1}`, `{"a":[1],"c":{"x":1},"d":{}}`,
			[]string{".a", ".c", ".d"}},
		"a key with dots": {`{"metadata":{"labels":{"a.b/c":"1"}}}`, `{"metadata":{"labels":{"a.b/c":"2"}}}`,
			[]string{`.metadata.labels["a.b/c"]`}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Paths([]byte(tc.before), []byte(tc.after))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			text, err := Unified("a", []byte(tc.before), "b", []byte(tc.after))
			if err != nil {
				t.Fatal(err)
			}
			if (text == "") != (len(tc.want) == 0) {
				t.Errorf("the text is %q", text)
			}
		})
	}
}

func TestUnified(t *testing.T) {
	text, err := Unified("current", []byte(`{"spec":{"replicas":1}}`), "proposed", []byte(`{"spec":{"replicas":2}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"--- current\n", "+++ proposed\n", "-  replicas: 1\n", "+  replicas: 2\n"} {
		if !strings.Contains(text, line) {
			t.Errorf("%q is not in\n%s", line, text)
		}
	}
}

func TestWhatIsNoObject(t *testing.T) {
	if _, err := Paths([]byte(`[]`), []byte(`{}`)); err == nil {
		t.Error("accepted")
	}
	if _, err := Unified("a", []byte(`{}`), "b", []byte(`x`)); err == nil {
		t.Error("accepted")
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubevision-io/kubevision/pkg/envelope"
)

func TestParse(t *testing.T) {
	pod := map[string]any{"kind": "Pod", "spec": map[string]any{"count": int64(1)}}
	for name, tc := range map[string]struct{ contentType, body string }{
		"JSON":                      {JSON, `{"kind":"Pod","spec":{"count":1}}`},
		"JSON with a charset":       {JSON + "; charset=utf-8", `{"kind":"Pod","spec":{"count":1}}`},
		"JSON without a media type": {"", ` {"kind":"Pod","spec":{"count":1}}`},
		"YAML":                      {YAML, "kind: Pod\nspec:\n  count: 1\n"},
		"YAML without a media type": {"", "kind: Pod\nspec:\n  count: 1\n"},
		"a flow in YAML":            {"text/yaml", "kind: Pod\nspec: {count: 1}\n"},
		"JSON as YAML":              {YAML, `{"kind":"Pod","spec":{"count":1}}`},
		"YAML with marks":           {YAML, "---\nkind: Pod\nspec:\n  count: 1\n---\n"},
		"an empty document first":   {YAML, "---\n---\nkind: Pod\nspec:\n  count: 1\n"},
		"a comment first": {YAML,
			"# of a template\n---\n# the rest is empty\n\n---\nkind: Pod\nspec: {count: 1}\n---\n# nothing\n"},
		"null first":               {YAML, "~\n---\nkind: Pod\nspec: {count: 1}\n"},
		"an end first":             {YAML, "---\n...\n---\nkind: Pod\nspec: {count: 1}\n...\n"},
		"a directive":              {YAML, "%YAML 1.1\n# comment\n---\nkind: Pod\nspec: {count: 1}\n"},
		"Windows":                  {YAML, "---\r\n---\r\nkind: Pod\r\nspec: {count: 1}\r\n"},
		"on the marker's line":     {YAML, "---\n--- {kind: Pod, spec: {count: 1}}"},
		"YAML with an anchor":      {YAML, "kind: Pod\nspec: &a {count: 1}\n"},
		"an object in a manifest":  {JSON, `{"manifest":{"kind":"Pod","spec":{"count":1}}}`},
		"YAML in a manifest":       {JSON, `{"manifest":"kind: Pod\nspec:\n  count: 1\n"}`},
		"a manifest in a manifest": {YAML, "manifest:\n  kind: Pod\n  spec: {count: 1}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(tc.contentType, []byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(pod, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		contentType, body string
		code              int
	}{
		"nothing":                  {JSON, "", 40001},
		"blank":                    {YAML, " \n", 40001},
		"an empty manifest":        {JSON, `{"manifest":null}`, 40001},
		"blank text":               {JSON, `{"manifest":" "}`, 40001},
		"a number as a manifest":   {JSON, `{"manifest":1}`, 40002},
		"a form":                   {"application/x-www-form-urlencoded", "kind=Pod", 40002},
		"a patch":                  {"application/merge-patch+json", "{}", 40002},
		"rubbish as a media type":  {";;", "{}", 40002},
		"half an object":           {JSON, `{"kind":`, 42200},
		"an array":                 {JSON, `[]`, 42200},
		"text":                     {YAML, `hello`, 42200},
		"null":                     {JSON, `null`, 42200},
		"two objects":              {JSON, `{}{}`, 42200},
		"a field twice":            {JSON, `{"kind":"Pod","kind":"Pod"}`, 42200},
		"a key twice":              {YAML, "kind: Pod\nkind: Pod\n", 42200},
		"a bad indent":             {YAML, "kind: Pod\n  spec: x\n", 42200},
		"a tab":                    {YAML, "kind:\n\t- Pod\n", 42200},
		"several documents":        {YAML, "kind: Pod\n---\nkind: Pod\n", 42200},
		"rubbish after a document": {YAML, "kind: Pod\n---\n}{\n", 42200},
		"several in a manifest":    {JSON, `{"manifest":"kind: Pod\n---\nkind: Pod\n"}`, 42200},
		"an unknown anchor":        {YAML, "kind: *a\n", 42200},
		"itself":                   {YAML, "kind: &a [*a]\n", 42200},
		"only comments":            {YAML, "# nothing\n", 42200},
		"control characters":       {YAML, "kind: \x00\n", 42200},
		"too deep, JSON": {JSON,
			`{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}", 42200},
		"too deep, YAML":            {YAML, "a: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), 42200},
		"deeper than any parser":    {YAML, strings.Repeat("[", 100_000), 42200},
		"too deep by aliases":       {YAML, chain(200), 42200},
		"larger than etcd stores":   {JSON, `{"a":"` + strings.Repeat("x", MaxBytes) + `"}`, 42200},
		"larger than that, as YAML": {YAML, "a: " + strings.Repeat("x", MaxBytes), 42200},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(tc.contentType, []byte(tc.body))
			if err == nil || int(envelope.As(err).Code) != tc.code {
				t.Errorf("got %v, want %d", err, tc.code)
			}
		})
	}
}

// chain returns a document that is deep only after its aliases are resolved.
func chain(links int) string {
	var text strings.Builder
	text.WriteString("l0: &l0 x\n")
	for i := 1; i <= links; i++ {
		fmt.Fprintf(&text, "l%d: &l%d [*l%d]\n", i, i, i-1)
	}
	return text.String()
}

// TestAliasBombs verifies that a small text cannot become a large object in memory.
func TestAliasBombs(t *testing.T) {
	wide := "a: &a " + strings.Repeat("x", 10_000) + "\nb: [" + strings.Repeat("*a,", 1000) + "]\n"
	var nested strings.Builder
	nested.WriteString("a0: &a0 [x]\n")
	for i := 1; i < 30; i++ {
		fmt.Fprintf(&nested, "a%d: &a%d [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10))
	}
	for name, body := range map[string]string{"wide": wide, "nested": nested.String()} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Parse(YAML, []byte(body))
		runtime.ReadMemStats(&after)
		if err == nil || envelope.As(err).Code != 42200 {
			t.Errorf("%s: got %v, want 42200", name, err)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
			t.Errorf("%s: %d bytes of text took %d bytes of memory", name, len(body), grown)
		}
	}
}

func TestErrorsHoldNoValues(t *testing.T) {
	const canary = "aHVudGVyMg"
	for _, body := range []string{
		`{"data":{"p":"` + canary + `"}`, `{"data":{"p":"` + canary + `","p":"` + canary + `"}}`,
		`{"data":"` + canary + `"}}`,
		"data:\n  p: " + canary + "\n   q: " + canary, "data: {p: *" + canary + "}", "data:\n\t" + canary,
		"data: !!int " + canary, canary,
		"data:\n  p: !!binary \"" + canary + "\"\n", "? [" + canary + "]\n: " + canary,
	} {
		for _, contentType := range []string{JSON, YAML} {
			_, err := Parse(contentType, []byte(body))
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("%q: %v", body, err)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, body := range []string{
		`{"kind":"Pod"}`, "kind: Pod\n", "a: &a [x]\nb: *a\n", `{"manifest":"kind: Pod"}`, "---\n---\n", "? a\n: b\n",
		"a: !!binary eA==\n", "<<: {a: b}\n",
		"a: 1e400", "0x1F: .inf",
	} {
		f.Add(JSON, []byte(body))
		f.Add(YAML, []byte(body))
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		object, err := Parse(contentType, body)
		if err != nil {
			if code := envelope.As(err).Code; code != 42200 && code != 40001 && code != 40002 {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		if object == nil {
			t.Fatalf("%q: neither an object nor an error", body)
		}
		if _, err := json.Marshal(object); err != nil {
			t.Errorf("%q cannot be sent on: %v", body, err)
		}
	})
}

// TestNothingIsChangedSilently verifies that Parse rejects a manifest if decoding would change a value. The error
// message contains the position of the value.
func TestNothingIsChangedSilently(t *testing.T) {
	for name, tc := range map[string]struct{ contentType, body, place string }{
		"a number and its text":        {YAML, "data:\n  1: a\n  \"1\": b\n", `"1" in line 3`},
		"yes and true":                 {YAML, "yes: a\n\"true\": b\n", `"true" in line 2`},
		"yes and on":                   {YAML, "yes: a\non: b\n", `"true" in line 2`},
		"octal and decimal":            {YAML, "010: a\n8: b\n", `"8" in line 2`},
		"a tag":                        {YAML, "!!str 1: a\n1: b\n", `"1" in line 2`},
		"an alias as a key":            {YAML, "x: &a yes\n*a : a\n\"true\": b\n", `"true" in line 3`},
		"keys of a flow":               {YAML, "a: {1: x, '1': y}\n", `"1" in line 1`},
		"a large integer":              {YAML, "spec:\n  replicas: 9223372036854775808\n", "spec.replicas in line 2"},
		"a large integer, grouped":     {YAML, "a: 18_446_744_073_709_551_616\n", "a in line 1"},
		"a long float":                 {YAML, "a: 0.12345678901234567890\n", "a in line 1"},
		"binary":                       {YAML, "a: !!binary /w==\n", "a in line 1"},
		"half a pair in YAML":          {YAML, "a: \"\\ud800\"\n", "line"},
		"a large integer in JSON":      {JSON, `{"spec":{"replicas":9223372036854775808}}`, "spec.replicas"},
		"a long float in JSON":         {JSON, `{"a":[0.12345678901234567890]}`, "a[0]"},
		"half a pair in JSON":          {JSON, `{"a":{"b":"\ud800"}}`, "a.b"},
		"bytes that are no text":       {JSON, "{\"a\":\"\xff\"}", "a "},
		"a large integer in the text":  {JSON, `{"manifest":"a: 9223372036854775808"}`, "a in line 1"},
		"bytes that are no text, YAML": {YAML, "a: \xff\n", "line"},
	} {
		_, err := Parse(tc.contentType, []byte(tc.body))
		if err == nil || envelope.As(err).Code != 42200 || !strings.Contains(envelope.As(err).Message, tc.place) {
			t.Errorf("%s: %v, want 42200 at %s", name, err, tc.place)
		}
	}
	for name, body := range map[string]string{
		"all different": "1: a\n2: b\nyes: c\nno: d\n'x': e\n", "a merge": "a: &a {b: 1, c: 2}\nd:\n  <<: *a\n  e: 3\n",
		"int64":   "a: 9223372036854775807\n",
		"a float": "a: 0.1\nb: 1e3\nc: 1.50\n", "a large number as text": "a: '18446744073709551616'\n",
		"octal": "mode: 0644\n", "a version": "v: 1.2.3\n",
	} {
		if _, err := Parse(YAML, []byte(body)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

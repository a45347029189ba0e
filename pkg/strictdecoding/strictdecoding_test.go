// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package strictdecoding

import (
	"bytes"
	"encoding/json"
	"testing"

	kjson "sigs.k8s.io/json"
)

func TestJSON(t *testing.T) {
	for document, want := range map[string]Problem{
		`{"a":9223372036854775807,"b":-9223372036854775808,"c":0.1,"d":1e3,"e":1.50}`: {},
		`{"f":"\ud83d\ude00ü\\ud800","g":-0,"h":-0.0}`:                                {},
		`{"spec":{"ports":[{"port":1},{"port":9223372036854775808}]}}`: {"spec.ports[1].port",
			largeInteger},
		`{"a":-9223372036854775809}`:       {"a", largeInteger},
		`{"a":0.12345678901234567890}`:     {"a", longFloat},
		`{"a":9007199254740993.0}`:         {"a", longFloat},
		`{"a":1e400}`:                      {"a", longFloat},
		`{"a":"` + "\xff" + `"}`:           {"a", notUTF8},
		`{"` + "\xff" + `":1}`:             {"\uFFFD", notUTF8},
		`{"a":["x","\ud800"]}`:             {"a[1]", surrogate},
		`{"a":"\udc00\ud800"}`:             {"a", surrogate},
		`{"a":"\ud800\u0041"}`:             {"a", surrogate},
		`{"\ud800":1}`:                     {"\uFFFD", surrogate},
		`["a","\ud800\\"]`:                 {"[1]", surrogate},
		"\xff":                             {"", notUTF8},
		`18446744073709551616`:             {"", largeInteger},
		`{"a":"18446744073709551616","b"`:  {},
		`{"a":"\\\ud83d\ude00"}`:           {},
		`{"a":{"b":1},"c":["d"],"e":1e99}`: {},
	} {
		got := JSON([]byte(document))
		if got == nil {
			got = &Problem{}
		}
		if *got != want {
			t.Errorf("%q: %+v, want %+v", document, *got, want)
		}
	}
}

// FuzzJSON verifies that a document without a problem is unchanged after decoding and encoding.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-2.5e3,"x\u00fc\ud83d\ude00",null,true]}`, `{"a":1e-7}`, `["\ud800"]`,
		`{"a":9223372036854775808}`, "\"\xff\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		problem := JSON(document)
		if !json.Valid(document) || problem != nil {
			return
		}
		var value any
		if err := kjson.UnmarshalCaseSensitivePreserveInts(document, &value); err != nil {
			t.Fatalf("%q cannot be read: %v", document, err)
		}
		once, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(once, []byte(`\ufffd`)) != bytes.Contains(document, []byte(`\ufffd`)) &&
			!bytes.Contains(document, []byte("\uFFFD")) &&
			!bytes.Contains(bytes.ToLower(document), []byte(`\ufffd`)) {
			t.Errorf("%q became %q", document, once)
		}
		if again := JSON(once); again != nil {
			t.Errorf("%q became %q: %+v", document, once, *again)
		}
	})
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rawjson_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubevision-io/kubevision/pkg/rawjson"
)

func valid(text []byte) bool {
	s := rawjson.NewScanner(text)
	return s.Value() == nil && s.End() == nil
}

// FuzzValue verifies that a Scanner accepts the texts that encoding/json accepts, and finds the same members of a
// JSON object.
func FuzzValue(f *testing.F) {
	for _, text := range []string{
		`{}`, `[]`, `null`, `[1,-0.5e+3,"a\u00e4\n",true,false,null]`, `{"a":{"b":[{}]},"a":2,"\u0061":3}`,
		`{"a":}`, `[1,]`, `01`, `"a`, "\"\x01\"", `{"a" 1}`, `nul`, ` { "a" : 1 } `, `[`, `"\ud800"`, "\"\xff\"",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, want := valid(text), json.Valid(text); got != want {
			t.Fatalf("valid = %t, want %t: %q", got, want, text)
		}
		var want map[string]json.RawMessage
		if json.Unmarshal(text, &want) != nil || want == nil {
			return
		}
		got := map[string]json.RawMessage{}
		s := rawjson.NewScanner(text)
		if err := s.Members(func(key rawjson.Quoted) error {
			begin := s.Pos()
			err := s.Value()
			got[key.Text()] = s.Since(begin)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if len(got) < len(want) {
			t.Errorf("members: %d, want %d", len(got), len(want))
		}
	})
}

// TestRewrite verifies that Scanner.Rewrite can omit one member of a JSON object and replace another member. Rewrite
// copies all other members without the white space between tokens.
func TestRewrite(t *testing.T) {
	s := rawjson.NewScanner([]byte("{ \"a\" : 1 , \"b\":[ 2,\r\n\t\"x \\\" \\\\\", { } ],\"c\" :{\"d\":3}}"))
	got, err := s.Rewrite(func(key rawjson.Quoted) (rawjson.Member, error) {
		switch {
		case key.Is("a"):
			return rawjson.Member{Omit: true}, s.Value()
		case key.Is("c"):
			return rawjson.Member{Value: []byte(`4`)}, s.Value()
		default:
			return rawjson.Member{}, s.Value()
		}
	})
	if diff := cmp.Diff(`{"b":[2,"x \" \\",{}],"c":4}`, string(got)); diff != "" || err != nil {
		t.Errorf("(-want +got):\n%s%v", diff, err)
	}
}

// TestDepth verifies that the nesting is bounded, even if the values are not visited.
func TestDepth(t *testing.T) {
	const most = 1000
	for depth, accepted := range map[int]bool{most: true, most + 1: false} {
		text := []byte(strings.Repeat("[", depth) + strings.Repeat("]", depth))
		if err := rawjson.NewScanner(text).Value(); (err == nil) != accepted {
			t.Errorf("%d levels: %v", depth, err)
		}
		s := rawjson.NewScanner(text)
		var visit func() error
		visit = func() error { return s.Elements(visit) }
		if err := visit(); (err == nil) != accepted {
			t.Errorf("%d levels that are visited: %v", depth, err)
		}
	}
}

// TestEnds verifies that a text that ends within a value is rejected, and that the consumed part remains accessible.
func TestEnds(t *testing.T) {
	whole := `{"a":"\\u00e9\n","b":[1.5e3,true,{"c":null}]}`
	for end := range len(whole) {
		text := slices.Clip([]byte(whole[:end]))
		s := rawjson.NewScanner(text)
		if err := s.Value(); err == nil {
			t.Errorf("%q was accepted", text)
		}
		_ = s.Since(0)
	}
}

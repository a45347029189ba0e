// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubevision-io/kubevision/pkg/rawjson"
)

var podKind = schema.GroupVersionKind{Version: "v1", Kind: "Pod"}

// presented returns an object as encoding/json decodes it.
func presented(text []byte) (map[string]any, bool) {
	var o map[string]any
	if err := json.Unmarshal(text, &o); err != nil || o == nil {
		return nil, false
	}
	for field, value := range map[string]string{"kind": podKind.Kind, "apiVersion": "v1"} {
		if own, ok := o[field].(string); !ok || own == "" {
			o[field] = value
		}
	}
	metadata, ok := o["metadata"].(map[string]any)
	if !ok {
		return nil, false
	}
	delete(metadata, "managedFields")
	name, _ := metadata["name"].(string)
	return o, name != ""
}

// TestParse verifies that managedFields are removed in any position, and that apiVersion and kind are added.
func TestParse(t *testing.T) {
	for _, text := range []string{
		`{"metadata":{"name":"a"}}`,
		`{"metadata":{"managedFields":[],"name":"a"}}`,
		`{"metadata":{"name":"a","managedFields":[{"x":"}]\""}]}}`,
		` { "metadata" : { "name" : "a" , "managedFields" : null , "uid" : "u" } , "kind" : "Pod" } `,
		`{"kind":"","apiVersion":null,"metadata":{"name":"a","labels":{"b":"2","a":"1"}},"spec":{"managedFields":[1]}}`,
		`{"apiVersion":"v1","kind":"Pod","metadata":{"managedFields":[],"managedFields":[1],"name":"a",` +
			`"managedFields":{}},"x":1}`,
		`{"metadata":{"name":"a\"\u00e9","m\u0061nagedFields":[]}}`,
		`{"status":{"a":[1,-0.5e+3,true,false,null,{}]},"metadata":{"name":"a"}}`,
	} {
		want, _ := presented([]byte(text))
		o, err := parse([]byte(text), podKind)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got map[string]any
		if err := json.Unmarshal(o.JSON, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s became %s: %v", text, o.JSON, err)
		}
	}
	o, err := parse(
		[]byte(
			`{"metadata":{"name":"a","namespace":"n","resourceVersion":"7","creationTimestamp":"1970-01-01T00:00:09Z",`+
				`"labels":{"b":"2","a":"1"}}}`,
		),
		podKind,
	)
	if err != nil || o.Name != "a" || o.Namespace != "n" || o.ResourceVersion != "7" || o.Created != 9 ||
		o.Labels.Get("a") != "1" || !o.Labels.Has("b") || o.Labels.Has("c") {
		t.Errorf("%+v, %v", o, err)
	}
	for _, text := range []string{
		``, `null`, `[]`, `{}`, `{"metadata":null}`, `{"metadata":{}}`, `{"metadata":{"name":"a"}`,
		`{"metadata":{"name":"a"}}}`,
		`{"metadata":{"name":1}}`, `{"metadata":{"name":"a"},}`, `{"metadata":{"name":"a"},"x":01}`,
		`{"metadata":{"name":"a","managedFields":[}}`, `{"metadata":{"name":"a"},"x":"` + "\n" + `"}`,
		`{"metadata":{"name":"a"},"x":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`,
	} {
		if o, err := parse([]byte(text), podKind); err == nil {
			t.Errorf("%.60s became %.60s", text, o.JSON)
		}
	}
}

// FuzzParse verifies that parse and encoding/json read the same object.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"metadata":{"name":"a","managedFields":[{"fieldsV1":{"f:a":{}}}],"labels":{"k":"v"}},` +
			`"spec":{"n":[1,2.5e3,"x\n\ud83d"]}}`,
		`{"metadata":{"managedFields":[]},"metadata":{"name":"b"},"kind":"","kind":"Pod"}`,
		`{"kind" : null, "metadata":{"name":"\u0061" , "managedFields":1}}`, `{"metadata":{"name":"a"}} x`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := parse(text, podKind)
		if !json.Valid(text) {
			if err == nil {
				t.Fatalf("%q was taken for JSON", text)
			}
			return
		}
		if err != nil {
			return
		}
		if !json.Valid(o.JSON) {
			t.Fatalf("%q became %q", text, o.JSON)
		}
		var got, raw map[string]any
		if json.Unmarshal(o.JSON, &got) != nil || json.Unmarshal(text, &raw) != nil {
			t.Fatalf("%q became %q", text, o.JSON)
		}
		if want, ok := presented(text); ok && onlyOnce(text) && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q became %q", text, o.JSON)
		}
		if metadata, ok := got["metadata"].(map[string]any); ok && metadata["managedFields"] != nil {
			t.Fatalf("%q became %q", text, o.JSON)
		}
	})
}

// onlyOnce returns true if the object and its metadata have no duplicate keys, which encoding/json merges.
func onlyOnce(text []byte) bool {
	seen, ok := map[string]bool{}, true
	s := rawjson.NewScanner(text)
	_ = s.Members(func(key rawjson.Quoted) error {
		ok = ok && !seen[key.Text()]
		seen[key.Text()] = true
		return s.Value()
	})
	return ok
}

// TestLines verifies that the JSON of an object is UTF-8 without line feeds. With a line feed in an object, a cluster
// could forge an event, because each line of a watch is one event.
func TestLines(t *testing.T) {
	forged := `{"type":"DELETED","clusterId":"another"}`
	text := "{\"metadata\" :\r\n{\"name\":\"a\",\n\"labels\":{\"b\":\n\"c d\"}}," +
		"\"spec\":[1,\n" + forged + "\n],\"s\":\"x \\\\\\\" y\"}"
	o, err := parse([]byte(text), podKind)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","labels":{"b":"c d"}},"spec":[1,` + forged +
		`],"s":"x \\\" y"}`
	if string(o.JSON) != want {
		t.Errorf("%s, want %s", o.JSON, want)
	}
	if o, err := parse([]byte("{\"metadata\":{\"name\":\"a\"},\"spec\":\"\xff\"}"), podKind); err == nil {
		t.Errorf("%q was accepted", o.JSON)
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"encoding/json"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

func kind(group, version, plural, kind string) clusters.Resource {
	return clusters.Resource{GroupVersionResource: schema.GroupVersionResource{Group: group, Version: version,
		Resource: plural}, Kind: kind, Namespaced: true}
}

func encoded(body []byte, r clusters.Resource) ([]byte, error) {
	o, err := Decode(body, r)
	if err != nil {
		return nil, err
	}
	return Encode(o)
}

func TestDecodeList(t *testing.T) {
	pods := kind("", "v1", "pods", "Pod")
	for name, tc := range map[string]struct {
		body, want, next string
		total            int64
	}{
		"empty": {`{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[]}`, `[]`, "", 0},
		"two": {
			`{"metadata":{},"items":[{"metadata":{"name":"a","managedFields":[{"manager":"x"}]},"spec":{"x":1.0}},` +
				`{"metadata":{"name":"b"}}]}`,
			`[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"x":1.0}},{"apiVersion":"v1",` +
				`"kind":"Pod","metadata":{"name":"b"}}]`, "", 2,
		},
		"page": {
			`{"metadata":{"continue":"next","remainingItemCount":41},"items":[{"metadata":{"name":"a"}}]}`,
			`[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}]`, "next", 42,
		},
		"page of unknown length": {`{"metadata":{"continue":"next"},"items":[]}`, `[]`, "next", -1},
		"text as it is": {`{"metadata":{},"items":[{"metadata":{"name":"<&>"}}]}`,
			`[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"<&>"}}]`, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := DecodeList([]byte(tc.body), pods)
			if err != nil {
				t.Fatal(err)
			}
			items, err := Encode(got.Items)
			if err != nil {
				t.Fatal(err)
			}
			total := int64(-1)
			if n := got.Total(); n != nil {
				total = *n
			}
			if string(items) != tc.want || got.Continue != tc.next || total != tc.total {
				t.Errorf("got %s, next %q, total %d", items, got.Continue, total)
			}
		})
	}
}

func TestWhatIsNoListIsUnreachable(t *testing.T) {
	for _, body := range []string{``, `<html>`, `null`, `{}`, `[]`, `{"items":{}}`, `{"items":null}`,
		`{"items":[null]}`, `{"items":[1]}`, `{"items":[{}]}`,
		`{"items":[{"metadata":null}]}`, `{"items":[{"metadata":[]}]}`} {
		_, err := DecodeList([]byte(body), kind("", "v1", "pods", "Pod"))
		if err == nil || envelope.As(err).Code != dashboardv1alpha1.CodeUnreachable {
			t.Errorf("%s: got %v, want 50200", body, err)
		}
	}
	for _, body := range []string{``, `null`, `[]`, `{}`, `{"metadata":1}`} {
		_, err := encoded([]byte(body), kind("", "v1", "pods", "Pod"))
		if err == nil || envelope.As(err).Code != dashboardv1alpha1.CodeUnreachable {
			t.Errorf("%s: got %v, want 50200", body, err)
		}
	}
}

const canary = "aHVudGVyMg"

func secret() string {
	return `{"metadata":{"name":"s",` +
		`"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"data\":{\"p\":\"` + canary +
		`\"}}","note":"kept"},` +
		`"managedFields":[{"x":"` + canary + `"}]},"data":{"p":"` + canary + `","empty":""},"stringData":{"q":"` +
		canary + `"},"type":"Opaque"}`
}

func TestSecretsAreMasked(t *testing.T) {
	secrets := kind("", "v1", "secrets", "Secret")
	one, err := encoded([]byte(secret()), secrets)
	if err != nil {
		t.Fatal(err)
	}
	list, err := DecodeList([]byte(`{"items":[`+secret()+`]}`), secrets)
	if err != nil {
		t.Fatal(err)
	}
	items, err := Encode(list.Items)
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{string(one), string(items)} {
		if strings.Contains(got, canary) {
			t.Errorf("the value shows: %s", got)
		}
	}
	var object struct {
		Metadata struct{ Annotations map[string]string }
		Data     map[string][]byte
		Type     string
	}
	if err := json.Unmarshal(one, &object); err != nil {
		t.Fatalf("a Masked Secret must still be one: %v", err)
	}
	if string(object.Data["p"]) != Masked || string(object.Data["empty"]) != Masked || object.Type != "Opaque" ||
		object.Metadata.Annotations["note"] != "kept" {
		t.Errorf("got %s", one)
	}
	for _, body := range []string{`{"metadata":{},"data":"` + canary + `"}`,
		`{"metadata":{"annotations":["` + canary + `"]}}`} {
		_, err := encoded([]byte(body), secrets)
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("what cannot be Masked must not be sent, nor be in the error: %v", err)
		}
	}
}

func TestOnlySecretsAreMasked(t *testing.T) {
	for _, r := range []clusters.Resource{kind("", "v1", "configmaps", "ConfigMap"),
		kind("example.com", "v1", "secrets", "Secret")} {
		got, err := encoded([]byte(secret()), r)
		if err != nil || !strings.Contains(string(got), canary) {
			t.Errorf("%v: %s, %v", r, got, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(secret()))
	f.Add([]byte(`{"metadata":{"annotations":null},"data":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := encoded(body, kind("", "v1", "secrets", "Secret"))
		if err != nil {
			return
		}
		if !json.Valid(got) {
			t.Errorf("%q becomes %q", body, got)
		}
		var object struct{ Data map[string]string }
		if json.Unmarshal(got, &object) == nil {
			for k, v := range object.Data {
				if v != MaskedBase64 {
					t.Errorf("%q shows %q: %q", body, k, v)
				}
			}
		}
	})
}

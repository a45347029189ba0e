// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"fmt"
	"maps"
	"runtime"
	"strings"
	"testing"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

func jsonObject(fieldCount int) string {
	var b strings.Builder
	for i := range fieldCount {
		_, _ = fmt.Fprintf(&b, `,"%x":""`, i)
	}
	return "{" + b.String()[1:] + "}"
}

func TestFieldsAreBounded(t *testing.T) {
	pods := kind("", "v1", "pods", "Pod")
	for name, body := range map[string]string{
		"the object":   `{"metadata":{},` + jsonObject(2 * maxMembers)[1:],
		"the metadata": `{"metadata":` + jsonObject(2*maxMembers) + `}`,
	} {
		if _, err := Decode([]byte(body), pods); err == nil ||
			envelope.As(err).Code != dashboardv1alpha1.CodeUnreachable {
			t.Errorf("%s: %v, want 50200", name, err)
		}
		if _, err := DecodeList([]byte(`{"items":[`+body+`]}`), pods); err == nil {
			t.Errorf("%s, in a list, is read", name)
		}
	}
	if _, err := Decode([]byte(`{"metadata":`+jsonObject(maxMembers)+`}`), pods); err != nil {
		t.Errorf("as many members as are allowed: %v", err)
	}
}

// TestSecretsAreMaskedInPlace verifies that masking many values uses little more memory than their text.
func TestSecretsAreMaskedInPlace(t *testing.T) {
	const count, each = 50_000, 100 // a map of the values would take 200 bytes per entry while it grows
	body := []byte(`{"metadata":{"annotations":` + jsonObject(count) + `},"data":` + jsonObject(count) + `}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	o, err := Decode(body, kind("", "v1", "secrets", "Secret"))
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 2*count*each {
		t.Errorf("%d bytes were allocated for %d", got, len(body))
	}
	if masked := strings.Count(string(o["data"]), MaskedBase64); masked != count {
		t.Errorf("%d values of %d are masked", masked, count)
	}
}

func TestMetadata(t *testing.T) {
	o, err := Decode([]byte(`{"metadata":{"name":"a\u0062","namespace":"n","labels":{"x":"1","y/z":""},"x":[{}]}}`),
		kind("", "v1", "pods", "Pod"))
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := o.Metadata()
	if err != nil || metadata != (Metadata{Name: "ab", Namespace: "n"}) {
		t.Errorf("%+v, %v", metadata, err)
	}
	labels := map[string]string{}
	if err := o.EachLabel(func(key, value string) { labels[key] = value }); err != nil ||
		!maps.Equal(labels, map[string]string{"x": "1", "y/z": ""}) {
		t.Errorf("labels %v, %v", labels, err)
	}
	for text, want := range map[string]bool{
		`{}`: true, `{"labels":null}`: true, `{"labels":[]}`: false, `{"labels":1}`: false,
	} {
		if err := (Object{"metadata": []byte(text)}).EachLabel(func(string, string) {}); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

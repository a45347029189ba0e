// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestWhatIsWritten verifies that a PUT stores all fields of an object that a GET returned. It also verifies that
// KubeVision is the field manager of all writes.
func TestWhatIsWritten(t *testing.T) {
	s, direct := target.set(), target.direct(t)
	s.HostCluster(t, target.Host)
	u := s.User(t, "conformance-writer")
	s.Bind(t, "conformance-writer", fixture.Grant{Role: "admin", Subjects: fixture.KubeVisionUsers(u),
		Cluster: target.Host})
	token := u.Login(t, direct, wire.DirectPath).AccessToken
	name := fixture.Name("conformance-slices")
	group := name + ".example.com"
	object := func(kind, apiVersion, name string, content map[string]any) *unstructured.Unstructured {
		o := &unstructured.Unstructured{Object: content}
		o.SetAPIVersion(apiVersion)
		o.SetKind(kind)
		o.SetName(name)
		return o
	}
	text := map[string]any{"type": "string"}
	// Dashboards add fields with these names to objects. KubeVision must store the fields of this kind nevertheless.
	schema := map[string]any{"type": "object", "properties": map[string]any{
		"namespace": text, "name": text, "raw": text, "metricsStatus": text,
		"metrics": map[string]any{"type": "integer"},
		"spec": map[string]any{"type": "object",
			"properties": map[string]any{"replicas": map[string]any{"type": "integer"}}},
	}}
	s.Create(t, object("CustomResourceDefinition", "apiextensions.k8s.io/v1", name+"."+group,
		map[string]any{"spec": map[string]any{
			"group": group, "scope": "Cluster", "names": map[string]any{"plural": name, "kind": "ConformanceSlice"},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true, "schema": map[string]any{"openAPIV3Schema": schema},
				"subresources": map[string]any{"scale": map[string]any{"specReplicasPath": ".spec.replicas",
					"statusReplicasPath": ".status.replicas"}},
			}},
		}}))
	path := wire.DirectPath + "/clusters/" + target.Host + "/resources/" + name + "." + group
	call := func(method, below, body string) wire.Request {
		return wire.Request{Method: method, Path: path + below, Bearer: token, Body: body}
	}
	const fields = `"namespace":"a","name":"b","raw":"c","metricsStatus":"d","metrics":1`
	fixture.Eventually(t, "create an object of the kind", func(ctx context.Context) error {
		return direct.Answers(ctx, wire.OK, call(http.MethodPost, "", fmt.Sprintf(
			`{"apiVersion":%q,"kind":"ConformanceSlice","metadata":{"name":"one"},"spec":{"replicas":1},%s}`,
			group+"/v1", fields)))
	})
	read := direct.Call(t, call(http.MethodGet, "/one", "")).Want(t, wire.OK)
	direct.Call(t, call(http.MethodPut, "/one", string(read.Data))).Want(t, wire.OK)
	direct.Call(t, call(http.MethodPut, "/one/scale", `{"replicas":2}`)).Want(t, wire.OK)
	stored := object("ConformanceSlice", group+"/v1", "one", map[string]any{})
	if err := target.Admin.Get(t.Context(), client.ObjectKeyFromObject(stored), stored); err != nil {
		t.Fatal(err)
	}
	var want map[string]any
	if err := json.Unmarshal([]byte("{"+fields+"}"), &want); err != nil {
		t.Fatal(err)
	}
	for field, value := range want {
		if fmt.Sprint(stored.Object[field]) != fmt.Sprint(value) {
			t.Errorf("%s is %v, and was %v", field, stored.Object[field], value)
		}
	}
	for _, entry := range stored.GetManagedFields() {
		if !strings.HasPrefix(entry.Manager, "kubevision") || strings.HasPrefix(entry.Manager, "kubevision-") {
			t.Errorf("the field manager of %s %q is %q", entry.Operation, entry.Subresource, entry.Manager)
		}
	}
}

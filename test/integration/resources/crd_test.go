// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestAKindInstalledAfterStart is served like any other, soon after it was.
func TestAKindInstalledAfterStart(t *testing.T) {
	plural := strings.ReplaceAll(fixture.Name("widgets"), "-", "")
	ns, group := set().Namespace(t, "crd"), plural+".example.com"
	admin := newPerson(t, "admin")
	path := in(ns, plural+".v1."+group)
	admin.get(t, path).Want(t, wire.NotFound)
	text := `{"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer", "maximum": 5}}}}}`
	schema := object{}
	wire.Envelope{Data: []byte(text)}.Into(t, &schema)
	set().Create(t, &unstructured.Unstructured{Object: object{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": object{"name": plural + "." + group},
		"spec": object{
			"group": group, "scope": "Namespaced", "names": object{"plural": plural, "kind": "Widget", "singular": "widget", "listKind": "WidgetList"},
			"versions": []any{object{"name": "v1", "served": true, "storage": true, "schema": object{"openAPIV3Schema": schema}}},
		},
	}})
	fixture.Eventually(t, "wait for the kind", func(ctx context.Context) error {
		return admin.client.Answers(ctx, wire.OK, wire.Request{Path: wire.DirectPath + "/clusters/" + host + path, Bearer: admin.AccessToken})
	})
	widget := func(size string) string {
		return "apiVersion: " + group + "/v1\nkind: Widget\nmetadata: {name: a}\nspec: {size: " + size + "}\n"
	}
	for _, way := range []string{"/dry-run", ""} {
		admin.send(t, http.MethodPost, path+way, yamlType, widget("9")).Want(t, wire.Rejected)
		admin.send(t, http.MethodPost, path+way, yamlType, widget("3")+"unknown: 1\n").Want(t, wire.Invalid)
		admin.send(t, http.MethodPost, path+way, yamlType, widget("3")).Want(t, wire.OK)
	}
	admin.send(t, http.MethodPatch, path+"/a", mergeType, `{"spec":{"size":4}}`).Want(t, wire.OK)
	admin.send(t, http.MethodPatch, path+"/a", strategicType, `{"spec":{"size":4}}`).Want(t, wire.Invalid)
	admin.send(t, http.MethodPatch, path+"/a?force=true", applyType, widget("5")).Want(t, wire.OK)
	if got := names(t, admin.get(t, path+"?sortBy=spec.size")); len(got) != 1 {
		t.Errorf("got %v", got)
	}
	admin.send(t, http.MethodDelete, path+"/a", "", "").Want(t, wire.OK)
	admin.get(t, path+"/a").Want(t, wire.NotFound)
}

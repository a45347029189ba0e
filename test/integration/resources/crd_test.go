// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func TestAKindInstalledAfterStart(t *testing.T) {
	ns := set().Namespace(t, "crd")
	admin := newPerson(t, "admin")
	admin.get(t, in(ns, "widgets.v1.example.com")).Want(t, wire.NotFound) // the discovery is now cached
	group, plural := installKind(t, "widgets", "Widget", object{"spec": object{
		"type": "object", "properties": object{"size": object{"type": "integer", "maximum": int64(5)}},
	}})
	path := in(ns, plural+".v1."+group)
	fixture.Eventually(t, "wait for the kind", answers(admin, path))
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

func installKind(t *testing.T, prefix, kind string, properties object) (group, plural string) {
	t.Helper()
	plural = strings.ReplaceAll(fixture.Name(prefix), "-", "")
	group = plural + ".example.com"
	set().Create(t, &unstructured.Unstructured{Object: object{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": object{"name": plural + "." + group},
		"spec": object{
			"group": group, "scope": "Namespaced", "names": object{"plural": plural, "kind": kind},
			"versions": []any{object{"name": "v1", "served": true, "storage": true, "schema": object{
				"openAPIV3Schema": object{"type": "object", "properties": properties},
			}}},
		},
	}})
	return group, plural
}

// TestFieldsLikeThoseOfDashboards verifies writes of objects with top-level fields that dashboards add, such as
// "metrics". The server stores the fields that the schema of the kind defines, and drops the other fields.
func TestFieldsLikeThoseOfDashboards(t *testing.T) {
	ns := set().Namespace(t, "added")
	text, anything := object{"type": "string"}, object{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	group, plural := installKind(t, "slices", "Slice", object{
		"namespace": text, "name": text, "metrics": anything, "spec": anything, "totpCode": object{"type": "integer"},
	})
	admin := newPerson(t, "admin", ns)
	path := in(ns, plural+"."+group)
	slice := object{
		"apiVersion": group + "/v1", "kind": "Slice", "metadata": object{"name": "a"},
		"namespace": "theirs", "name": "other", "metrics": object{"a": 1.0}, "totpCode": 7.0,
	}
	fixture.Eventually(t, "create it", func(context.Context) error {
		if e := admin.send(t, http.MethodPost, path, jsonType, encoded(t, slice)); e.Code != wire.OK {
			return errors.New(e.Message)
		}
		return nil
	})
	read := decoded(t, admin.get(t, path+"/a"))
	change := func(name string) string {
		read["spec"] = object{"by": name}
		return encoded(t, read)
	}
	check := func(what string) {
		t.Helper()
		now := decoded(t, admin.get(t, path+"/a"))
		if at(now, "namespace") != "theirs" || at(now, "name") != "other" || at(now, "metrics", "a") != 1.0 ||
			at(now, "spec", "by") != what || at(now, "totpCode") != 7.0 {
			t.Errorf("after %s: %v", what, now)
		}
		read = now
	}
	admin.send(t, http.MethodPut, path+"/a", jsonType, change("put")).Want(t, wire.OK)
	check("put")
	admin.send(t, http.MethodPut, path+"/a", jsonType, `{"manifest":`+change("wrapped")+`}`).Want(t, wire.OK)
	check("wrapped")
	read["raw"], read["metricsStatus"] = object{"x": 1}, "pending" // fields that the kind does not have
	tried := decoded(t, admin.send(t, http.MethodPut, path+"/a/dry-run", jsonType, change("tried")))
	if at(tried, "proposed", "raw", "namespace") != "theirs" || at(tried, "proposed", "raw", "raw") != nil {
		t.Errorf("a dry run proposes %v", tried)
	}
	admin.send(t, http.MethodPut, path+"/a", jsonType, change("both")).Want(t, wire.OK)
	check("both")
	delete(part(t, read, "metadata"), "resourceVersion")
	delete(part(t, read, "metadata"), "managedFields")
	admin.send(t, http.MethodPatch, path+"/a?force=true", applyType, change("applied")).Want(t, wire.OK)
	check("applied")
}

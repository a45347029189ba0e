// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"context"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func TestScale(t *testing.T) {
	ns := set().Namespace(t, "scale")
	dev := newActor(t, "dev", ns)
	d := deployment(t, ns, "web", 0)
	for i, path := range []string{
		"/namespaces/" + ns + "/deployments/web/scale",
		"/namespaces/" + ns + "/deployments.v1.apps/web/scale",
		"/namespaces/" + ns + "/resources/deployments/web/scale",
		"/resources/deployments/web/scale?namespace=" + ns,
	} {
		var data struct{ Replicas, CurrentReplicas *int32 }
		dev.put(t, path, fmt.Sprintf(`{"replicas":%d}`, i+1)).Want(t, wire.OK).Into(t, &data)
		if got := *read(t, d).Spec.Replicas; got != int32(i+1) || data.Replicas == nil || *data.Replicas != got ||
			data.CurrentReplicas == nil {
			t.Errorf("%s: %d replicas, response %+v", path, got, data)
		}
	}
	dev.put(t, "/namespaces/"+ns+"/deployments/web/scale", `{"replicas":0}`).Want(t, wire.OK)
	if got := *read(t, d).Spec.Replicas; got != 0 {
		t.Errorf("%d replicas", got)
	}
	set().Create(t, &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "agent"},
		Spec:       appsv1.DaemonSetSpec{Selector: selector(), Template: template("agent:1")},
	})
	for name, tc := range map[string]struct {
		path, body string
		code       int
		field      string
	}{
		"no replicas": {"/namespaces/" + ns + "/deployments/web/scale", `{}`, wire.Required, "replicas"},
		"null replicas": {"/namespaces/" + ns + "/deployments/web/scale", `{"replicas":null}`, wire.Required,
			"replicas"},
		"no body": {"/namespaces/" + ns + "/deployments/web/scale", ``, wire.Required, "body"},
		"a negative number": {"/namespaces/" + ns + "/deployments/web/scale", `{"replicas":-1}`, wire.Invalid,
			"replicas"},
		"replicas in words": {"/namespaces/" + ns + "/deployments/web/scale", `{"replicas":"two"}`, wire.Invalid,
			"replicas"},
		"half a replica": {"/namespaces/" + ns + "/deployments/web/scale", `{"replicas":1.5}`, wire.Invalid,
			"replicas"},
		"another field": {"/namespaces/" + ns + "/deployments/web/scale", `{"replicas":1,"force":true}`,
			wire.Invalid, "force"},
		"no such object": {"/namespaces/" + ns + "/deployments/none/scale", `{"replicas":1}`,
			wire.NotFound, ""},
		"no such kind": {"/namespaces/" + ns + "/nothings/web/scale", `{"replicas":1}`, wire.NotFound, ""},
		"a kind without replicas": {"/namespaces/" + ns + "/daemonsets/agent/scale", `{"replicas":1}`,
			wire.NotFound, ""},
		"no namespace": {"/resources/deployments/web/scale", `{"replicas":1}`, wire.Invalid, "namespace"},
		"a bad kind": {"/namespaces/" + ns + "/Deployments/web/scale", `{"replicas":1}`, wire.Invalid,
			"resource"},
		"a bad namespace": {"/namespaces/No_Name/deployments/web/scale", `{"replicas":1}`, wire.Invalid,
			"namespace"},
		"a way out": {"/namespaces/" + ns + "/deployments/%2e%2e/scale", `{"replicas":1}`, wire.Invalid,
			"path"},
		"an encoded way out": {"/namespaces/" + ns + "/deployments/..%2fweb/scale", `{"replicas":1}`, wire.Invalid,
			"path"},
		"another namespace": {"/namespaces/kube-system/deployments/web/scale", `{"replicas":1}`,
			wire.NamespaceForbidden, ""},
	} {
		t.Run(name, func(t *testing.T) { refused(t, dev.put(t, tc.path, tc.body), tc.code, tc.field) })
	}
}

func TestScaleCustomResource(t *testing.T) {
	admin := newActor(t, "admin")
	ns := set().Namespace(t, "scale-custom")
	group := fixture.Name("scale") + ".example.com"
	anything := map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	crd := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "farms." + group},
		"spec": map[string]any{
			"group": group, "scope": "Namespaced", "names": map[string]any{"kind": "Farm", "plural": "farms"},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true, "schema": map[string]any{"openAPIV3Schema": anything},
				"subresources": map[string]any{"scale": map[string]any{"specReplicasPath": ".spec.replicas",
					"statusReplicasPath": ".status.replicas"}},
			}},
		},
	}}
	set().Create(t, crd)
	farm := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": group + "/v1", "kind": "Farm", "metadata": map[string]any{"namespace": ns, "name": "green"},
		"spec": map[string]any{"replicas": int64(1)},
	}}
	fixture.Eventually(t, "make an object of the new kind",
		func(ctx context.Context) error { return env.Client.Create(ctx, farm) })
	fixture.Eventually(t, "scale it", func(context.Context) error {
		if e := admin.put(t, "/namespaces/"+ns+"/farms."+group+"/green/scale", `{"replicas":3}`); e.Code != wire.OK {
			return fmt.Errorf("code %d: %s", e.Code, e.Message)
		}
		return nil
	})
	if got, _, _ := unstructured.NestedInt64(read(t, farm).Object, "spec", "replicas"); got != 3 {
		t.Errorf("%d replicas", got)
	}
}

func TestNamesLikeActions(t *testing.T) {
	ns := set().Namespace(t, "names")
	dev := newActor(t, "dev", ns)
	for _, name := range []string{"scale", "restart", "history", "rollback", "dry-run", "batch-delete", "cordon",
		"resources"} {
		set().Create(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}})
		for _, path := range []string{"/namespaces/" + ns + "/resources/configmaps/" + name,
			"/resources/configmaps/" + name + "?namespace=" + ns} {
			var found metav1.PartialObjectMetadata
			dev.get(t, path).Want(t, wire.OK).Into(t, &found)
			if found.Kind != "ConfigMap" || found.Name != name {
				t.Errorf("%s: got %s %s", path, found.Kind, found.Name)
			}
		}
	}
	d := deployment(t, ns, "scale", 0)
	dev.put(t, "/namespaces/"+ns+"/deployments/scale/scale", `{"replicas":2}`).Want(t, wire.OK)
	if got := *read(t, d).Spec.Replicas; got != 2 {
		t.Errorf("%d replicas", got)
	}
}

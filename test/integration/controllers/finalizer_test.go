// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestFinalizersKeepUnknownFields verifies that the controllers do not remove a field of a newer version of the
// CustomResourceDefinition when they add a finalizer.
func TestFinalizersKeepUnknownFields(t *testing.T) {
	guard(t)
	const field = "aFieldOfTheNextVersion"
	for resource, kind := range map[string]string{
		"kubevisionclusters": "KubeVisionCluster", "kubevisionrolebindings": "KubeVisionRoleBinding",
		"kubevisionusers": "KubeVisionUser",
	} {
		t.Run(kind, func(t *testing.T) {
			addField(t, resource, field)
			spec := map[string]object{
				"KubeVisionCluster":     {"kubeconfigSecretRef": object{"name": unique("none")}},
				"KubeVisionRoleBinding": bindingSpec(), "KubeVisionUser": {},
			}[kind]
			whole := kubevisionObject(kind, "", with(spec, object{field: "kept"}))
			var o *unstructured.Unstructured
			eventually(t, soon, "create an object with the new field", func(ctx context.Context) error {
				o = whole.DeepCopy() // the response may lack the field
				if err := env.Client.Create(ctx, o); err != nil {
					return err
				}
				t.Cleanup(func() { remove(t, o) })
				if got, _, _ := unstructured.NestedString(o.Object, "spec", field); got != "kept" {
					remove(t, o)
					return errors.New("the schema does not have it yet")
				}
				return nil
			})
			eventually(t, soon, "wait for the controller", func(ctx context.Context) error {
				if err := env.Client.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
					return err
				}
				if _, ok, _ := unstructured.NestedMap(o.Object, "status"); !ok {
					return fmt.Errorf("there is no status, and the finalizers are %v", o.GetFinalizers())
				}
				return nil
			})
			if got, _, _ := unstructured.NestedString(o.Object, "spec", field); got != "kept" {
				t.Errorf("the field is %q", got)
			}
		})
	}
}

func addField(t *testing.T, resource, field string) {
	t.Helper()
	crd := &unstructured.Unstructured{}
	crd.SetAPIVersion("apiextensions.k8s.io/v1")
	crd.SetKind("CustomResourceDefinition")
	crd.SetName(resource + ".kubevision.io")
	path := "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/" + field
	patch := func(ctx context.Context, text string) error {
		return env.Client.Patch(ctx, crd, client.RawPatch(types.JSONPatchType, []byte(text)))
	}
	if err := patch(t.Context(), fmt.Sprintf(`[{"op":"add","path":%q,"value":{"type":"string"}}]`, path)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := later(t)
		defer cancel()
		if err := patch(ctx, fmt.Sprintf(`[{"op":"remove","path":%q}]`, path)); err != nil {
			t.Error(err)
		}
	})
}

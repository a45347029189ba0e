// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// defineMissing waits until the host serves all kinds that the controllers watch. If some definitions were deleted
// while others wait for the finalizers of their objects, it creates the deleted definitions for the duration of the
// removal.
func (r *Remover) defineMissing(ctx context.Context) error {
	return await(ctx, func(ctx context.Context) ([]string, error) {
		var waiting []string
		for _, k := range objectKinds() {
			served, err := r.isDefined(ctx, k)
			if err != nil {
				return nil, err
			}
			if !served {
				waiting = append(waiting, "the definition of "+k+" is being deleted or created")
			}
		}
		return waiting, nil
	})
}

// isDefined returns true if the definition of a kind exists and is not being deleted. It creates a missing definition.
func (r *Remover) isDefined(ctx context.Context, kindName string) (bool, error) {
	definition := object(kind("apiextensions.k8s.io", "CustomResourceDefinition"))
	name := strings.ToLower(kindName) + "s." + kubevisionv1alpha1.SchemeGroupVersion.Group
	err := r.Client.Get(ctx, client.ObjectKey{Name: name}, definition)
	if apierrors.IsNotFound(err) {
		return false, r.define(ctx, name, kindName)
	}
	if err != nil {
		return false, fmt.Errorf("reading the definition %s: %w", name, err)
	}
	if definition.GetDeletionTimestamp().IsZero() {
		return isEstablished(definition), nil
	}
	items, err := r.list(ctx, kubevisionv1alpha1.SchemeGroupVersion.WithKind(kindName))
	if err != nil {
		return false, err
	}
	for i := range items {
		if len(items[i].GetFinalizers()) > 0 {
			return true, nil
		}
	}
	return false, nil
}

// openStorage reads each kind once, so that kube-apiserver opens the storage of the kind. Otherwise, kube-apiserver
// opens the storage when the definition is deleted, and may wait for minutes before it tries again to delete the
// objects.
func (r *Remover) openStorage(ctx context.Context) {
	kinds := append(objectKinds(), "KubeVisionSession", "KubeVisionLoginThrottle", "KubeVisionPolicyParameter")
	for _, k := range kinds {
		if _, err := r.list(ctx, kubevisionv1alpha1.SchemeGroupVersion.WithKind(k), client.Limit(1)); err != nil {
			r.Log.Error(err, "Reading the objects of a definition before its removal", "kind", k)
		}
	}
}

func isEstablished(definition *unstructured.Unstructured) bool {
	conditions, _, err := unstructured.NestedSlice(definition.Object, "status", "conditions")
	if err != nil {
		return false
	}
	for _, c := range conditions {
		condition, ok := c.(map[string]any)
		if ok && condition["type"] == "Established" && condition["status"] == "True" {
			return true
		}
	}
	return false
}

// define creates a definition that accepts any object of a kind.
func (r *Remover) define(ctx context.Context, name, kindName string) error {
	plural, group, _ := strings.Cut(name, ".")
	definition := object(kind("apiextensions.k8s.io", "CustomResourceDefinition"))
	definition.SetName(name)
	definition.Object["spec"] = map[string]any{
		"group": group, "scope": "Cluster",
		"names": map[string]any{
			"plural": plural, "singular": strings.ToLower(kindName), "kind": kindName, "listKind": kindName + "List",
		},
		"versions": []any{map[string]any{
			"name": kubevisionv1alpha1.SchemeGroupVersion.Version, "served": true, "storage": true,
			"schema": map[string]any{"openAPIV3Schema": map[string]any{
				"type": "object", "x-kubernetes-preserve-unknown-fields": true,
			}},
			"subresources": map[string]any{"status": map[string]any{}},
		}},
	}
	if err := r.Client.Create(ctx, definition); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating the definition %s: %w", name, err)
	}
	return nil
}

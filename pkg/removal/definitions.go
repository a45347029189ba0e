// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// defineMissing waits until the host serves all kinds that the controllers watch. If some CustomResourceDefinitions
// were deleted while others wait for the finalizers of their objects, it creates the deleted ones for the duration of
// the removal.
func (r *Remover) defineMissing(ctx context.Context) error {
	return await(ctx, func(ctx context.Context) ([]string, error) {
		var waiting []string
		for _, k := range objectKinds() {
			served, err := r.isDefined(ctx, k)
			if err != nil {
				return nil, err
			}
			if !served {
				waiting = append(waiting, "the CustomResourceDefinition of "+k+" is being deleted or created")
			}
		}
		return waiting, nil
	})
}

// isDefined returns true if the CustomResourceDefinition of a kind exists and is not being deleted. It creates a
// missing one.
func (r *Remover) isDefined(ctx context.Context, kindName string) (bool, error) {
	definition := object(kind("apiextensions.k8s.io", "CustomResourceDefinition"))
	name := strings.ToLower(kindName) + "s." + kubevisionv1alpha1.SchemeGroupVersion.Group
	err := r.Client.Get(ctx, client.ObjectKey{Name: name}, definition)
	if apierrors.IsNotFound(err) {
		return false, r.define(ctx, name, kindName)
	}
	if err != nil {
		return false, fmt.Errorf("reading the CustomResourceDefinition %s: %w", name, err)
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

const (
	// retriedAnnotation is the time of the last retryCleanup for a CustomResourceDefinition.
	retriedAnnotation = "kubevision.io/cleanup-retried-at"
	retryInterval     = 3 * time.Second
)

// retryCleanup makes kube-apiserver try again to delete the objects of a CustomResourceDefinition that is being
// deleted. The first attempt fails if kube-apiserver has not read the kind before, because the storage of the kind is
// not ready. kube-apiserver drops the next attempt if that conflicts with its own change of the status, and then waits
// for minutes, unless the CustomResourceDefinition changes.
func (r *Remover) retryCleanup(ctx context.Context, o *metav1.PartialObjectMetadata) error {
	now := time.Now()
	last, seen := r.retried[o.UID]
	if seen && now.Sub(last) < retryInterval {
		return nil
	}
	if r.retried == nil {
		r.retried = map[types.UID]time.Time{}
	}
	r.retried[o.UID] = now
	if !seen {
		return nil
	}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, retriedAnnotation, now.UTC().Format(time.RFC3339))
	err := r.Client.Patch(ctx, o, client.RawPatch(types.MergePatchType, patch))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("retrying the deletion of the objects of %s: %w", o.Name, err)
	}
	return nil
}

// describeCleanup returns the reason why kube-apiserver has not deleted the objects of a CustomResourceDefinition yet,
// or an empty string.
func (r *Remover) describeCleanup(ctx context.Context, name string) string {
	definition := object(kind("apiextensions.k8s.io", "CustomResourceDefinition"))
	if err := r.Client.Get(ctx, client.ObjectKey{Name: name}, definition); err != nil {
		return ""
	}
	message, _ := conditionOf(definition, "Terminating")["message"].(string)
	return message
}

func isEstablished(definition *unstructured.Unstructured) bool {
	return conditionOf(definition, "Established")["status"] == "True"
}

// conditionOf returns a condition of an object, or nil.
func conditionOf(o *unstructured.Unstructured, conditionType string) map[string]any {
	conditions, _, err := unstructured.NestedSlice(o.Object, "status", "conditions")
	if err != nil {
		return nil
	}
	for _, c := range conditions {
		if condition, ok := c.(map[string]any); ok && condition["type"] == conditionType {
			return condition
		}
	}
	return nil
}

// define creates a CustomResourceDefinition that accepts any object of a kind.
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
		return fmt.Errorf("creating the CustomResourceDefinition %s: %w", name, err)
	}
	return nil
}

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

// defineMissing waits until the host cluster serves KubeVisionUsers, KubeVisionClusters and KubeVisionRoleBindings. It
// creates missing CustomResourceDefinitions, because the controllers must watch all three kinds to remove finalizers.
func (r *Remover) defineMissing(ctx context.Context) error {
	return await(ctx, func(ctx context.Context) ([]string, error) {
		var waiting []string
		for _, k := range kindsInDeletionOrder() {
			served, err := r.ensureDefined(ctx, k)
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

// ensureDefined returns true if the controllers can watch the kind now. If the CustomResourceDefinition does not exist,
// ensureDefined creates it. If the result is false, the caller must try again.
func (r *Remover) ensureDefined(ctx context.Context, kindName string) (bool, error) {
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
	// The CustomResourceDefinition is being deleted. If objects with finalizers remain, the controllers must remove the
	// finalizers first. If none remain, the CustomResourceDefinition is created again after the deletion.
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
	// retriedAnnotation is an annotation of CustomResourceDefinitions. It contains the time at which retryCleanup last
	// patched the CustomResourceDefinition.
	retriedAnnotation = "kubevision.io/cleanup-retried-at"
	// retryInterval is the minimum time between two patches of a CustomResourceDefinition by retryCleanup.
	retryInterval = 3 * time.Second
)

// retryCleanup makes kube-apiserver retry the deletion of the custom resources of a CustomResourceDefinition. After a
// failed attempt, kube-apiserver would otherwise wait for minutes.
func (r *Remover) retryCleanup(ctx context.Context, o *metav1.PartialObjectMetadata) error {
	now := time.Now()
	last, seen := r.waitingSince[o.UID]
	if seen && now.Sub(last) < retryInterval {
		return nil
	}
	if r.waitingSince == nil {
		r.waitingSince = map[types.UID]time.Time{}
	}
	r.waitingSince[o.UID] = now
	if !seen { // kube-apiserver may still be in its first attempt
		return nil
	}
	// An attempt fails, for example, if kube-apiserver has not served a request for the kind before. The patch makes
	// kube-apiserver try again.
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, retriedAnnotation, now.UTC().Format(time.RFC3339))
	err := r.Client.Patch(ctx, o, client.RawPatch(types.MergePatchType, patch))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("retrying the deletion of the objects of %s: %w", o.Name, err)
	}
	return nil
}

// describeCleanup returns the message of the condition Terminating of a CustomResourceDefinition, or an empty string.
// The message says why kube-apiserver has not deleted the custom resources yet.
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

// conditionOf returns the condition of the given type in the status of an object, or nil.
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
			// The schema accepts any object, because the controllers only need to watch the kind.
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

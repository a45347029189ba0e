// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// WaitForCondition waits until a condition is True for all named objects of a resource at their current generation. If
// no names are given, it waits until the resource has at least one object, and the condition is True for all its
// objects.
func (c *Cluster) WaitForCondition(
	ctx context.Context, timeout time.Duration, resource schema.GroupVersionResource, condition string, names ...string,
) error {
	what := fmt.Sprintf("wait until all %s are %s", resource.GroupResource(), condition)
	check, err := c.conditionCheck(resource, condition, names)
	if err != nil {
		return err
	}
	return Poll(ctx, timeout, what, check)
}

func (c *Cluster) conditionCheck(
	resource schema.GroupVersionResource, condition string, names []string,
) (func(context.Context) error, error) {
	client, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		return nil, fmt.Errorf("create a client: %w", err)
	}
	return func(ctx context.Context) error {
		objects, err := listOrGet(ctx, client.Resource(resource), names)
		if err != nil {
			return err
		}
		if len(objects) == 0 {
			return errors.New("there are none")
		}
		for i := range objects {
			if err := checkCondition(&objects[i], condition); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func listOrGet(
	ctx context.Context, client dynamic.ResourceInterface, names []string,
) ([]unstructured.Unstructured, error) {
	if len(names) == 0 {
		list, err := client.List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		return list.Items, nil
	}
	objects := make([]unstructured.Unstructured, 0, len(names))
	for _, name := range names {
		object, err := client.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		objects = append(objects, *object)
	}
	return objects, nil
}

// checkCondition returns an error if the condition is missing, is not True or describes an earlier generation of the
// object.
func checkCondition(object *unstructured.Unstructured, conditionType string) error {
	name := object.GetName()
	if namespace := object.GetNamespace(); namespace != "" {
		name = namespace + "/" + name
	}
	conditions, _, err := unstructured.NestedSlice(object.Object, "status", "conditions")
	if err != nil {
		return fmt.Errorf("read the conditions of %s: %w", name, err)
	}
	for _, entry := range conditions {
		condition, ok := entry.(map[string]any)
		if !ok || condition["type"] != conditionType {
			continue
		}
		if condition["status"] != string(metav1.ConditionTrue) {
			return fmt.Errorf("%s: %s is %v: %v: %v", name, conditionType, condition["status"], condition["reason"],
				condition["message"])
		}
		return upToDate(object, condition, name)
	}
	return fmt.Errorf("%s has no condition %s yet", name, conditionType)
}

// upToDate returns an error if the observed generation in the condition or the status is not the current one. It
// returns nil if neither contains an observed generation.
func upToDate(object *unstructured.Unstructured, condition map[string]any, name string) error {
	observed, found, err := unstructured.NestedInt64(condition, "observedGeneration")
	if err == nil && !found {
		observed, found, err = unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	}
	if err != nil {
		return fmt.Errorf("read the observed generation of %s: %w", name, err)
	}
	if found && observed != object.GetGeneration() {
		return fmt.Errorf("%s: generation %d is observed, not %d", name, observed, object.GetGeneration())
	}
	return nil
}

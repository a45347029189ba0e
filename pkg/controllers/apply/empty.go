// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"encoding/json"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// removeRights removes the rules or subjects of an RBAC object that has finalizers. This is necessary because RBAC
// evaluates an object until its finalizers are removed, even if the object is being deleted. If version is not empty,
// removeRights changes the object only if it still has this resourceVersion.
//
// removeRights returns true if the given object is out of date: removeRights has changed it, or another client has
// changed or deleted it. It returns false if there was nothing to remove.
func (w *Writer) removeRights(ctx context.Context, object client.Object, version string) (bool, error) {
	fields := rightFields(object)
	if len(object.GetFinalizers()) == 0 || len(fields) == 0 {
		return false, nil
	}
	metadata := map[string]any{"uid": object.GetUID()}
	if version != "" {
		metadata["resourceVersion"] = version
	}
	patch := map[string]any{"metadata": metadata}
	for _, field := range fields {
		patch[field] = nil
	}
	body, err := json.Marshal(patch)
	if err != nil {
		return false, fmt.Errorf("removing the rules or subjects of %s: %w", w.describe(object), err)
	}
	answer, err := w.emptyLike(object)
	if err != nil {
		return false, err
	}
	answer.SetNamespace(object.GetNamespace())
	answer.SetName(object.GetName())
	err = w.Client.Patch(ctx, answer, client.RawPatch(types.MergePatchType, body))
	switch {
	case apierrors.IsNotFound(err), apierrors.IsConflict(err): // the object was deleted or replaced
		return true, nil
	case err != nil:
		return false, fmt.Errorf("removing the rules or subjects of %s: %w", w.describe(object), err)
	}
	return true, nil
}

// rightFields returns the names of the non-empty fields of an RBAC object that grant rights: rules, aggregationRule,
// subjects.
func rightFields(object client.Object) []string {
	var out []string
	add := func(field string, given bool) {
		if given {
			out = append(out, field)
		}
	}
	switch o := object.(type) {
	case *rbacv1.ClusterRoleBinding:
		add("subjects", len(o.Subjects) > 0)
	case *rbacv1.RoleBinding:
		add("subjects", len(o.Subjects) > 0)
	case *rbacv1.ClusterRole:
		add("aggregationRule", o.AggregationRule != nil)
		add("rules", len(o.Rules) > 0)
	case *rbacv1.Role:
		add("rules", len(o.Rules) > 0)
	}
	return out
}

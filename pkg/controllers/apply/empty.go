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

// removeRights removes the rules or subjects of an RBAC object that has finalizers. If the object has no finalizers, or
// neither rules nor subjects, removeRights does nothing and returns false.
func (w *Writer) removeRights(ctx context.Context, object client.Object, resourceVersion string) (bool, error) {
	// RBAC evaluates an object until its finalizers are removed, even if the object is being deleted.
	fields := rightFields(object)
	if len(object.GetFinalizers()) == 0 || len(fields) == 0 {
		return false, nil
	}
	metadata := map[string]any{"uid": object.GetUID()}
	if resourceVersion != "" {
		metadata["resourceVersion"] = resourceVersion
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
	case apierrors.IsNotFound(err), apierrors.IsConflict(err): // the object was deleted, replaced or changed
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

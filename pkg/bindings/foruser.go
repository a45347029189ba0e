// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package bindings

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// ListForUser returns the KubeVisionRoleBindings that grant rights to the Kubernetes user or to one of the Kubernetes
// groups, sorted by name. It omits bindings that are being deleted. The returned bindings share memory with the cache
// of the reader and must not be modified.
func ListForUser(
	ctx context.Context, reader client.Reader, user string, groups []string,
) ([]kubevisionv1alpha1.KubeVisionRoleBinding, error) {
	var users kubevisionv1alpha1.KubeVisionUserList
	if err := reader.List(ctx, &users, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing users: %w", err)
	}
	var all kubevisionv1alpha1.KubeVisionRoleBindingList
	if err := reader.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing role bindings: %w", err)
	}
	index := IndexUsers(users.Items)
	var out []kubevisionv1alpha1.KubeVisionRoleBinding
	for i := range all.Items {
		subjects, _ := Subjects(all.Items[i].Spec.Subjects, index)
		if all.Items[i].DeletionTimestamp.IsZero() && ContainsUser(subjects, user, groups) {
			out = append(out, all.Items[i])
		}
	}
	slices.SortFunc(out, func(a, b kubevisionv1alpha1.KubeVisionRoleBinding) int {
		return strings.Compare(a.Name, b.Name)
	})
	return out, nil
}

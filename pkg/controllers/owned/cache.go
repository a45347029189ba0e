// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package owned

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/pkg/names"
)

// BindingIndex finds RBAC objects in a cache by the KubeVisionRoleBinding that they were made for.
const BindingIndex = "kubevision.io/role-binding"

// IndexBindings adds BindingIndex to a cache. Without it, each look for the objects of one binding would be one at all
// objects.
func IndexBindings(ctx context.Context, indexer client.FieldIndexer) error {
	for _, kind := range []client.Object{&rbacv1.ClusterRole{}, &rbacv1.ClusterRoleBinding{}, &rbacv1.RoleBinding{}} {
		err := indexer.IndexField(ctx, kind, BindingIndex, func(o client.Object) []string {
			if binding := o.GetLabels()[names.RoleBindingLabel]; binding != "" {
				return []string{binding}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("indexing %T by role binding: %w", kind, err)
		}
	}
	return nil
}

// sharedParts bounds how many different lists of subjects and sets of labels are shared.
const sharedParts = 1024

// ShareParts returns a transform of RoleBindings for a cache. The RoleBindings of a KubeVisionRoleBinding have the same
// labels, subjects and names in thousands of namespaces: the cache holds these once.
func ShareParts() toolscache.TransformFunc {
	var mu sync.Mutex
	last := map[string]*rbacv1.RoleBinding{}
	return func(o any) (any, error) {
		b, ok := o.(*rbacv1.RoleBinding)
		if !ok {
			return o, nil
		}
		b.ManagedFields, b.Annotations = nil, nil
		mu.Lock()
		defer mu.Unlock()
		like := last[b.Name]
		if like != nil {
			b.Name = like.Name
			if maps.Equal(b.Labels, like.Labels) {
				b.Labels = like.Labels
			}
			if slices.Equal(b.Subjects, like.Subjects) {
				b.Subjects = like.Subjects
			}
			if b.RoleRef == like.RoleRef {
				b.RoleRef = like.RoleRef
			}
		}
		if len(last) >= sharedParts {
			clear(last)
		}
		last[b.Name] = b
		return b, nil
	}
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package bindings

import (
	"cmp"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/sets"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// SelectForCluster returns those of the given bindings that select the cluster c. A binding with an invalid label
// selector selects no cluster.
func SelectForCluster(
	all []kubevisionv1alpha1.KubeVisionRoleBinding, c *kubevisionv1alpha1.KubeVisionCluster,
) []kubevisionv1alpha1.KubeVisionRoleBinding {
	var out []kubevisionv1alpha1.KubeVisionRoleBinding
	for i := range all {
		if ok, err := SelectsCluster(all[i].Spec.Clusters, c.Name, c.Labels); ok && err == nil {
			out = append(out, all[i])
		}
	}
	return out
}

// BoundNamespaces returns the sorted names of the namespaces that the bindings select on a cluster. If a binding
// selects namespaces by labels, the names come from the status of the binding. A binding for all namespaces adds no
// name.
func BoundNamespaces(bound []kubevisionv1alpha1.KubeVisionRoleBinding, cluster string) []string {
	names := sets.New[string]()
	for i := range bound {
		if targets := bound[i].Spec.Namespaces; targets != nil {
			names.Insert(targets.Names...)
		}
		for _, applied := range bound[i].Status.Clusters {
			if applied.Name == cluster {
				names.Insert(applied.Namespaces...)
			}
		}
	}
	return sets.List(names)
}

// GrantedRoles returns the roles that bindings grant in a namespace of a cluster. An empty namespace means the whole
// cluster. Each role is returned once, sorted by kind and name. If a binding selects namespaces by labels, its status
// determines the namespaces.
func GrantedRoles(
	bound []kubevisionv1alpha1.KubeVisionRoleBinding, cluster, namespace string,
) []kubevisionv1alpha1.RoleReference {
	roles := sets.New[kubevisionv1alpha1.RoleReference]()
	for i := range bound {
		if covers(&bound[i], cluster, namespace) {
			roles.Insert(bound[i].Spec.RoleRef)
		}
	}
	return slices.SortedFunc(maps.Keys(roles), func(a, b kubevisionv1alpha1.RoleReference) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
}

// covers returns true if b grants its role in a namespace of a cluster. An empty namespace means the whole cluster.
func covers(b *kubevisionv1alpha1.KubeVisionRoleBinding, cluster, namespace string) bool {
	targets := b.Spec.Namespaces
	switch {
	case targets == nil, namespace != "" && slices.Contains(targets.Names, namespace):
		return true
	case namespace == "" || targets.Selector == nil:
		return false
	}
	return slices.ContainsFunc(b.Status.Clusters, func(applied kubevisionv1alpha1.RoleBindingClusterStatus) bool {
		return applied.Name == cluster && slices.Contains(applied.Namespaces, namespace)
	})
}

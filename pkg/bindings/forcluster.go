// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package bindings

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/sets"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// SelectForCluster returns the bindings that select a cluster.
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

// BoundNamespaces returns the namespaces that bindings name, or whose selectors matched on a cluster.
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

// Reaches returns whether one of the bindings covers a namespace of a cluster, or the whole cluster for no namespace.
// Namespaces that a binding selects by label are those in its status.
func Reaches(bound []kubevisionv1alpha1.KubeVisionRoleBinding, cluster, namespace string) bool {
	for i := range bound {
		targets := bound[i].Spec.Namespaces
		switch {
		case targets == nil, namespace != "" && slices.Contains(targets.Names, namespace):
			return true
		case namespace == "" || targets.Selector == nil:
			continue
		}
		for _, applied := range bound[i].Status.Clusters {
			if applied.Name == cluster && slices.Contains(applied.Namespaces, namespace) {
				return true
			}
		}
	}
	return false
}

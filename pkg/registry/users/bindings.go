// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package users serves the users of the dashboard.
package users

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/clusters"
)

// The roles that dashboards know, from the most to the least. They show and hide buttons; they decide nothing.
const (
	roleSuperAdmin = "super-admin"
	roleAdmin      = "admin"
	roleEditor     = "editor"
	roleViewer     = "viewer"
	roleCustom     = "custom"
)

func displayRoles() []string {
	return []string{roleCustom, roleViewer, roleEditor, roleAdmin, roleSuperAdmin}
}

// displayRole is what the bindings amount to on the host, the clusters that KubeVision runs in.
func displayRole(all []kubevisionv1alpha1.KubeVisionRoleBinding, hosts []kubevisionv1alpha1.KubeVisionCluster) string {
	best := 0
	for i := range all {
		best = max(best, displayRank(&all[i], hosts))
	}
	return displayRoles()[best]
}

// displayRank is the place in the rank of what one binding amounts to on the host. A binding of every cluster counts also
// while no host is registered: the role that is shown must not be smaller than what this API has granted.
func displayRank(b *kubevisionv1alpha1.KubeVisionRoleBinding, hosts []kubevisionv1alpha1.KubeVisionCluster) int {
	if !bindings.SelectsEveryCluster(b.Spec.Clusters) && len(selected(b, hosts)) == 0 {
		return 0
	}
	return slices.Index(displayRoles(), displayRoleOf(b))
}

// hostsOf returns the registration of the host that is in force, or nothing.
func hostsOf(all []kubevisionv1alpha1.KubeVisionCluster) []kubevisionv1alpha1.KubeVisionCluster {
	if host := clusters.HostRegistration(all); host != nil {
		return []kubevisionv1alpha1.KubeVisionCluster{*host}
	}
	return nil
}

// displayRoleOf is what one binding amounts to. Whoever administers no more than namespaces has nothing to press on the pages for the
// whole cluster, and is shown as an editor.
func displayRoleOf(b *kubevisionv1alpha1.KubeVisionRoleBinding) string {
	role, _ := bindings.BuiltInRole(b.Spec.RoleRef)
	switch role {
	case kubevisionv1alpha1.RoleAdmin, kubevisionv1alpha1.RoleOps:
		switch {
		case b.Spec.Namespaces != nil:
			return roleEditor
		case role == kubevisionv1alpha1.RoleAdmin:
			return roleSuperAdmin
		default:
			return roleAdmin
		}
	case kubevisionv1alpha1.RoleDev:
		return roleEditor
	case kubevisionv1alpha1.RoleReadonly:
		return roleViewer
	default:
		return roleCustom
	}
}

// selected are the names of the clusters that a binding selects. A selector that cannot be read selects none, and locks nobody out; the
// binding's own conditions report it.
func selected(b *kubevisionv1alpha1.KubeVisionRoleBinding, clusters []kubevisionv1alpha1.KubeVisionCluster) []string {
	out := []string{}
	for i := range clusters {
		if ok, err := bindings.SelectsCluster(b.Spec.Clusters, clusters[i].Name, clusters[i].Labels); ok && err == nil {
			out = append(out, clusters[i].Name)
		}
	}
	return out
}

func describe(b *kubevisionv1alpha1.KubeVisionRoleBinding, clusters []kubevisionv1alpha1.KubeVisionCluster) dashboardv1alpha1.Binding {
	out := dashboardv1alpha1.Binding{Name: b.Name, Role: b.Spec.RoleRef.Name, Clusters: selected(b, clusters), Namespaces: []string{}}
	if n := b.Spec.Namespaces; n != nil {
		out.Namespaces = append(out.Namespaces, n.Names...)
		if n.Selector != nil {
			out.NamespaceSelector = metav1.FormatLabelSelector(n.Selector)
		}
	}
	return out
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package users serves the account of the caller, and the management of KubeVisionUsers: their creation, change and
// deletion, their dashboard roles, their sessions, and resets of their passwords and second factors.
package users

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/clusters"
)

// Dashboard roles: the roles that dashboards display. They only determine which buttons are visible, and grant nothing.
const (
	roleSuperAdmin = "super-admin"
	roleAdmin      = "admin"
	roleEditor     = "editor"
	roleViewer     = "viewer"
	roleCustom     = "custom"
)

// displayRoles returns the roles that dashboards display, from the fewest to the most rights.
func displayRoles() []string {
	return []string{roleCustom, roleViewer, roleEditor, roleAdmin, roleSuperAdmin}
}

func highestDisplayRole(
	all []kubevisionv1alpha1.KubeVisionRoleBinding, hosts []kubevisionv1alpha1.KubeVisionCluster,
) string {
	best := 0
	for i := range all {
		best = max(best, displayRank(&all[i], hosts))
	}
	return displayRoles()[best]
}

func displayRank(b *kubevisionv1alpha1.KubeVisionRoleBinding, hosts []kubevisionv1alpha1.KubeVisionCluster) int {
	// A host cluster that is not registered is selected only by bindings for every cluster.
	if !bindings.SelectsEveryCluster(b.Spec.Clusters) && len(selected(b, hosts)) == 0 {
		return 0 // the index of roleCustom, the lowest role
	}
	return slices.Index(displayRoles(), displayRoleOf(b))
}

// hostsOf filters the given KubeVisionClusters, and returns only the one for the host cluster. The result is empty if
// the host cluster is not registered.
func hostsOf(all []kubevisionv1alpha1.KubeVisionCluster) []kubevisionv1alpha1.KubeVisionCluster {
	if host := clusters.HostRegistration(all); host != nil {
		return []kubevisionv1alpha1.KubeVisionCluster{*host}
	}
	return nil
}

// displayRoleOf returns the dashboard role of b, regardless of the clusters of b. If b grants RoleAdmin or RoleOps only
// in some namespaces, the dashboard role is roleEditor. A higher role would make dashboards offer cluster-wide actions
// that b does not allow.
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

// selected returns the names of the clusters that b selects. If the label selector of b is invalid, it returns none.
func selected(b *kubevisionv1alpha1.KubeVisionRoleBinding, clusters []kubevisionv1alpha1.KubeVisionCluster) []string {
	out := []string{}
	for i := range clusters {
		if ok, err := bindings.SelectsCluster(b.Spec.Clusters, clusters[i].Name, clusters[i].Labels); ok && err == nil {
			out = append(out, clusters[i].Name)
		}
	}
	return out
}

func describe(
	b *kubevisionv1alpha1.KubeVisionRoleBinding, clusters []kubevisionv1alpha1.KubeVisionCluster,
) dashboardv1alpha1.Binding {
	out := dashboardv1alpha1.Binding{Name: b.Name, Role: b.Spec.RoleRef.Name, Clusters: selected(b, clusters),
		Namespaces: []string{}}
	if n := b.Spec.Namespaces; n != nil {
		out.Namespaces = append(out.Namespaces, n.Names...)
		if n.Selector != nil {
			out.NamespaceSelector = metav1.FormatLabelSelector(n.Selector)
		}
	}
	return out
}

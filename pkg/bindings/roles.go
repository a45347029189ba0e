// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package bindings

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// builtIn returns the roles that KubeVision creates on every cluster.
func builtIn() []string {
	return []string{kubevisionv1alpha1.RoleAdmin, kubevisionv1alpha1.RoleOps, kubevisionv1alpha1.RoleDev,
		kubevisionv1alpha1.RoleReadonly}
}

// BuiltInRole returns the built-in role of a reference, and false if the reference is to another role. A reference to
// the ClusterRole of a built-in role is a reference to that role, so that both require the same right.
func BuiltInRole(ref kubevisionv1alpha1.RoleReference) (string, bool) {
	role, ok := strings.CutPrefix(ref.Name, builtInPrefix)
	if !ok && ref.Kind == kubevisionv1alpha1.RoleClusterRole || !slices.Contains(builtIn(), role) {
		return "", false
	}
	return role, true
}

// ClusterRole returns the name of the referenced ClusterRole on the target cluster.
func ClusterRole(ref kubevisionv1alpha1.RoleReference) string {
	if role, ok := BuiltInRole(ref); ok {
		return BuiltInClusterRole(role)
	}
	return ref.Name
}

// BuiltInClusterRole returns the name of the ClusterRole behind a built-in role.
func BuiltInClusterRole(role string) string { return builtInPrefix + role }

const builtInPrefix = "kubevision:"

// clusterSuffix is the suffix of the ClusterRoles that apply to the whole cluster, including protected namespaces.
const clusterSuffix = "-cluster"

// RoleShare returns the part of a budget that bindings of one role may use: three quarters. A subject that may bind
// only one role cannot exhaust the budget.
func RoleShare[T int | int64](budget T) T { return budget / 4 * 3 }

// SparesProtected returns true if the role grants no more than readonly in protected namespaces.
func SparesProtected(ref kubevisionv1alpha1.RoleReference) bool {
	role, ok := BuiltInRole(ref)
	return ok && (role == kubevisionv1alpha1.RoleDev || role == kubevisionv1alpha1.RoleOps)
}

// WholeClusterRole returns the name of the ClusterRole that a ClusterRoleBinding for the reference binds.
func WholeClusterRole(ref kubevisionv1alpha1.RoleReference) string {
	if SparesProtected(ref) {
		return ClusterRole(ref) + clusterSuffix
	}
	return ClusterRole(ref)
}

// NamespaceRole returns the name of the ClusterRole that a RoleBinding for the reference binds in a namespace.
func NamespaceRole(ref kubevisionv1alpha1.RoleReference, protected bool) string {
	if protected && SparesProtected(ref) {
		return BuiltInClusterRole(kubevisionv1alpha1.RoleReadonly)
	}
	return ClusterRole(ref)
}

// ClusterRoles returns the names of all ClusterRoles that a binding of the reference may bind.
func ClusterRoles(ref kubevisionv1alpha1.RoleReference) []string {
	if !SparesProtected(ref) {
		return []string{ClusterRole(ref)}
	}
	return []string{ClusterRole(ref), WholeClusterRole(ref), NamespaceRole(ref, true)}
}

// IsProtected returns true if a namespace is protected: KubeVision's own, the namespace of its removal, the namespaces
// of Kubernetes except default, and namespaces with ProtectedLabel. kube-node-lease is protected because its Leases
// determine which nodes are healthy.
func IsProtected(name string, namespaceLabels map[string]string) bool {
	switch name {
	case names.Namespace, names.RemovalNamespace,
		metav1.NamespaceSystem, metav1.NamespacePublic, corev1.NamespaceNodeLease:
		return true
	}
	value, labelled := namespaceLabels[names.ProtectedLabel]
	return labelled && value != "false"
}

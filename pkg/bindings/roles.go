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

// builtIn returns the names of the roles that KubeVision creates on every cluster.
func builtIn() []string {
	return []string{kubevisionv1alpha1.RoleAdmin, kubevisionv1alpha1.RoleOps, kubevisionv1alpha1.RoleDev,
		kubevisionv1alpha1.RoleReadonly}
}

// BuiltInRole returns the name of the built-in role to which ref refers. The name in ref is either the name of the role
// or the name of the ClusterRole of the role. BuiltInRole returns false if ref refers to any other role.
func BuiltInRole(ref kubevisionv1alpha1.RoleReference) (string, bool) {
	role, ok := strings.CutPrefix(ref.Name, builtInPrefix)
	if !ok && ref.Kind == kubevisionv1alpha1.RoleClusterRole || !slices.Contains(builtIn(), role) {
		return "", false
	}
	return role, true
}

// ClusterRole returns the name of the ClusterRole for ref, for example kubevision:dev for the built-in role dev.
func ClusterRole(ref kubevisionv1alpha1.RoleReference) string {
	if role, ok := BuiltInRole(ref); ok {
		return BuiltInClusterRole(role)
	}
	return ref.Name
}

// BuiltInClusterRole returns the name of the ClusterRole of a built-in role.
func BuiltInClusterRole(role string) string { return builtInPrefix + role }

const builtInPrefix = "kubevision:"

// clusterSuffix is the suffix of the names of the ClusterRoles that grant the roles dev and ops in a whole cluster, for
// example kubevision:dev-cluster. These ClusterRoles have fewer rules than kubevision:dev and kubevision:ops, because a
// ClusterRoleBinding also applies to protected namespaces.
const clusterSuffix = "-cluster"

// RoleShare returns three quarters of the budget for bindings. The bindings of one role may use only this part, so that
// a user who may bind only one role cannot exhaust the budget.
func RoleShare[T int | int64](budget T) T { return budget / 4 * 3 }

// SparesProtected returns true if ref refers to the built-in role dev or ops. In protected namespaces, both roles grant
// only the rights of the role readonly. There is one exception: if ops is granted in the whole cluster, it also grants
// the right to evict Pods in protected namespaces.
func SparesProtected(ref kubevisionv1alpha1.RoleReference) bool {
	role, ok := BuiltInRole(ref)
	return ok && (role == kubevisionv1alpha1.RoleDev || role == kubevisionv1alpha1.RoleOps)
}

// WholeClusterRole returns the name of the ClusterRole that grants the role ref in a whole cluster. A
// ClusterRoleBinding refers to this ClusterRole. For the built-in roles dev and ops, it has fewer rules than the
// ClusterRole for a single namespace, because a ClusterRoleBinding also applies to protected namespaces.
func WholeClusterRole(ref kubevisionv1alpha1.RoleReference) string {
	if SparesProtected(ref) {
		return ClusterRole(ref) + clusterSuffix
	}
	return ClusterRole(ref)
}

// NamespaceRole returns the name of the ClusterRole with which KubeVision grants the role ref in one namespace. A
// RoleBinding in the namespace refers to this ClusterRole. In a protected namespace, the built-in roles dev and ops are
// replaced with the role readonly.
func NamespaceRole(ref kubevisionv1alpha1.RoleReference, isProtected bool) string {
	if isProtected && SparesProtected(ref) {
		return BuiltInClusterRole(kubevisionv1alpha1.RoleReadonly)
	}
	return ClusterRole(ref)
}

// ClusterRoles returns the names of the ClusterRoles with which KubeVision grants the role ref. The built-in roles dev
// and ops have three: for a whole cluster, for a namespace, and for a protected namespace such as kube-system. Each
// other role has one.
func ClusterRoles(ref kubevisionv1alpha1.RoleReference) []string {
	if !SparesProtected(ref) {
		return []string{ClusterRole(ref)}
	}
	return []string{ClusterRole(ref), WholeClusterRole(ref), NamespaceRole(ref, true)}
}

// IsProtected returns true if a namespace is protected from the roles dev and ops. The protected namespaces are:
//
//   - the namespace of KubeVision
//   - the namespace in which the Job that removes KubeVision runs
//   - kube-system, kube-public, and kube-node-lease, whose Leases determine which nodes are healthy
//   - each namespace whose label ProtectedLabel has a value other than "false"
func IsProtected(name string, namespaceLabels map[string]string) bool {
	switch name {
	case names.Namespace, names.RemovalNamespace,
		metav1.NamespaceSystem, metav1.NamespacePublic, corev1.NamespaceNodeLease:
		return true
	}
	value, labelled := namespaceLabels[names.ProtectedLabel]
	return labelled && value != "false"
}

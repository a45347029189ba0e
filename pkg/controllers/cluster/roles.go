// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"maps"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/controllers/clustercache"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	kubernetesAggregate = "rbac.authorization.k8s.io/aggregate-to-"
	kubevisionAggregate = "kubevision.io/aggregate-to-"

	// devCluster is the name of the ClusterRole that grants the role dev in the whole cluster. A KubeVisionRoleBinding
	// for the role dev uses this ClusterRole if spec.namespaces is absent. The name omits the prefix "kubevision:".
	devCluster = kubevisionv1alpha1.RoleDev + "-cluster"
	// opsCluster is the name of the ClusterRole that grants the role ops in the whole cluster. A KubeVisionRoleBinding
	// for the role ops uses this ClusterRole if spec.namespaces is absent. The name omits the prefix "kubevision:".
	opsCluster = kubevisionv1alpha1.RoleOps + "-cluster"

	rolesComponent = "roles"
)

// builtInRoles returns the ClusterRoles for the built-in roles of KubeVision. The ClusterRoles for the roles ops, dev
// and readonly aggregate the rules of the Kubernetes ClusterRoles admin, edit and view, respectively. They also
// aggregate the rules of ClusterRoles with the label kubevision.io/aggregate-to-<role>.
//
// The ClusterRoles dev-cluster and ops-cluster grant rights in all namespaces, including protected ones. Therefore,
// they contain only rules for cluster-scoped resources, and the rules of the Kubernetes ClusterRole view. ops-cluster
// also allows the eviction of Pods, which is necessary to drain a node.
func builtInRoles() []*rbacv1.ClusterRole {
	readNodes := rbacv1.PolicyRule{APIGroups: []string{""},
		Resources: []string{"nodes", "persistentvolumes", "namespaces"}, Verbs: readVerbs()}
	return []*rbacv1.ClusterRole{
		clusterRole(bindings.BuiltInClusterRole(kubevisionv1alpha1.RoleAdmin), nil,
			rbacv1.PolicyRule{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}},
			rbacv1.PolicyRule{NonResourceURLs: []string{"*"}, Verbs: []string{"*"}}),
		aggregated(kubevisionv1alpha1.RoleOps, "admin"),
		aggregated(kubevisionv1alpha1.RoleDev, "edit"),
		aggregated(kubevisionv1alpha1.RoleReadonly, "view"),
		aggregated(devCluster, "view"),
		aggregated(opsCluster, "view"),
		// The ClusterRoles view, edit and admin of Kubernetes contain no rules for cluster-scoped resources. The
		// following ClusterRole adds such rules. In a RoleBinding, rules for cluster-scoped resources have no effect.
		clusterRole("kubevision:aggregate-cluster-view",
			map[string]string{
				kubevisionAggregate + kubevisionv1alpha1.RoleReadonly: "true",
				kubevisionAggregate + kubevisionv1alpha1.RoleDev:      "true",
				kubevisionAggregate + kubevisionv1alpha1.RoleOps:      "true",
				kubevisionAggregate + devCluster:                      "true",
				kubevisionAggregate + opsCluster:                      "true",
			},
			readNodes,
			rbacv1.PolicyRule{APIGroups: []string{"storage.k8s.io"},
				Resources: []string{"storageclasses", "volumeattachments", "csidrivers", "csinodes"},
				Verbs:     readVerbs()},
			rbacv1.PolicyRule{APIGroups: []string{"apiextensions.k8s.io"},
				Resources: []string{"customresourcedefinitions"}, Verbs: readVerbs()},
			rbacv1.PolicyRule{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"ingressclasses"},
				Verbs: readVerbs()},
			rbacv1.PolicyRule{APIGroups: []string{"scheduling.k8s.io"}, Resources: []string{"priorityclasses"},
				Verbs: readVerbs()},
			rbacv1.PolicyRule{APIGroups: []string{"metrics.k8s.io"}, Resources: []string{"nodes", "pods"},
				Verbs: readVerbs()}),
		clusterRole("kubevision:aggregate-operate-nodes",
			map[string]string{kubevisionAggregate + kubevisionv1alpha1.RoleOps: "true", kubevisionAggregate +
				opsCluster: "true"},
			rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes"},
				Verbs: []string{"patch", "update"}},
			rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/eviction"},
				Verbs: []string{"create"}}),
	}
}

func readVerbs() []string { return []string{"get", "list", "watch"} }

func clusterRole(name string, labels map[string]string, rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
	all := map[string]string{names.ComponentLabel: rolesComponent}
	maps.Copy(all, labels)
	return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: all}, Rules: rules}
}

func aggregated(role, kubernetesRole string) *rbacv1.ClusterRole {
	r := clusterRole(bindings.BuiltInClusterRole(role), nil)
	r.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{
		{MatchLabels: map[string]string{kubernetesAggregate + kubernetesRole: "true"}},
		{MatchLabels: map[string]string{kubevisionAggregate + role: "true"}},
	}}
	return r
}

func applyRoles(ctx context.Context, t *clustercache.Cluster) error {
	var errs []error
	for _, role := range builtInRoles() {
		errs = append(errs, t.Writer.Apply(ctx, role))
	}
	return errors.Join(errs...)
}

func removeRoles(ctx context.Context, t *clustercache.Cluster) error {
	var errs []error
	for _, role := range builtInRoles() {
		existing := &rbacv1.ClusterRole{}
		err := t.Writer.Client.Get(ctx, types.NamespacedName{Name: role.Name}, existing)
		if err == nil {
			err = t.Writer.Delete(ctx, existing)
		}
		errs = append(errs, client.IgnoreNotFound(err))
	}
	return errors.Join(errs...)
}

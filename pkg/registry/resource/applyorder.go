// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	kindNamespace  = "Namespace"
	kindDefinition = "CustomResourceDefinition"

	// stageOfDefinitions is the index of the stage in which CustomResourceDefinitions are applied.
	stageOfDefinitions = 1
)

// stages returns the kinds of each stage. The stages are applied in order. Kinds that other kinds need are in the first
// stages. Kinds that reject or change other objects, such as webhook configurations, are in the last stage. The stage
// without a list of kinds contains all kinds that are not listed in the other stages.
func stages() [][]schema.GroupKind {
	kinds := func(group string, names ...string) []schema.GroupKind {
		out := make([]schema.GroupKind, 0, len(names))
		for _, name := range names {
			out = append(out, schema.GroupKind{Group: group, Kind: name})
		}
		return out
	}
	const (
		rbac      = "rbac.authorization.k8s.io"
		apps      = "apps"
		batch     = "batch"
		admission = "admissionregistration.k8s.io"
	)
	return [][]schema.GroupKind{
		kinds("", kindNamespace),
		kinds("apiextensions.k8s.io", kindDefinition),
		slices.Concat(
			kinds("scheduling.k8s.io", "PriorityClass"), kinds("storage.k8s.io", "StorageClass", "CSIDriver"),
			kinds("node.k8s.io", "RuntimeClass"), kinds("networking.k8s.io", "IngressClass", "NetworkPolicy"),
			kinds("", "ResourceQuota", "LimitRange"), kinds("policy", "PodDisruptionBudget"),
		),
		slices.Concat(
			kinds("", "ServiceAccount", "Secret", "ConfigMap", "PersistentVolume"), kinds(rbac, "ClusterRole", "Role"),
		),
		slices.Concat(kinds("", "PersistentVolumeClaim"), kinds(rbac, "ClusterRoleBinding", "RoleBinding")),
		kinds("", "Service"),
		slices.Concat(
			kinds("", "Pod", "ReplicationController"),
			kinds(apps, "DaemonSet", "ReplicaSet", "Deployment", "StatefulSet"),
			kinds(batch, "Job", "CronJob"),
		),
		slices.Concat(
			kinds("autoscaling", "HorizontalPodAutoscaler"), kinds("networking.k8s.io", "Ingress"),
			kinds("apiregistration.k8s.io", "APIService"),
		),
		nil, // all other kinds
		kinds(admission, "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "ValidatingAdmissionPolicy",
			"ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"),
	}
}

// stageOf returns the index of the stage in which objects of the given kind are applied. The stages are applied in
// ascending order.
func stageOf(kind schema.GroupKind) int {
	all := stages()
	for i, stage := range all {
		if slices.Contains(stage, kind) {
			return i
		}
	}
	return slices.IndexFunc(all, func(stage []schema.GroupKind) bool { return stage == nil })
}

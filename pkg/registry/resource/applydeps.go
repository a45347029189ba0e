// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// dependencies describes the objects that a bundle creates. A dry run does not store these objects. Therefore, the dry
// run of an object that needs one of them may fail.
type dependencies struct {
	// namespaces contains the names of the Namespaces that the bundle creates.
	namespaces map[string]bool
	// kinds contains the kinds of the objects that the bundle creates.
	kinds map[schema.GroupKind]bool
}

func (b *bundle) dependencies() dependencies {
	out := dependencies{namespaces: map[string]bool{}, kinds: map[schema.GroupKind]bool{}}
	for _, a := range b.items {
		if a.current != nil {
			continue
		}
		out.kinds[a.kind] = true
		if a.kind == (schema.GroupKind{Kind: kindNamespace}) {
			out.namespaces[a.result.Name] = true
		}
	}
	return out
}

// preventDryRun returns true if a dry run of the object fails until other objects of the same request are applied. This
// is the case if the request creates the Namespace of the object, or the CustomResourceDefinition of its kind.
func (d dependencies) preventDryRun(a *applied) bool {
	return a.defined || d.namespaces[a.result.Namespace]
}

// mayPreventDryRun returns true if a dry run of the object may fail until other objects of the same request are
// applied. For example, a RoleBinding may need a Role.
func (d dependencies) mayPreventDryRun(a *applied) bool {
	const rbac = "rbac.authorization.k8s.io"
	// needed contains the kinds that kube-apiserver may look up when it validates the object.
	var needed []schema.GroupKind
	switch a.kind {
	case schema.GroupKind{Group: rbac, Kind: "RoleBinding"}, schema.GroupKind{Group: rbac, Kind: "ClusterRoleBinding"}:
		needed = []schema.GroupKind{{Group: rbac, Kind: "Role"}, {Group: rbac, Kind: "ClusterRole"}}
	case schema.GroupKind{Kind: "Pod"}:
		needed = []schema.GroupKind{
			{Kind: "ServiceAccount"},
			{Group: "scheduling.k8s.io", Kind: "PriorityClass"},
			{Group: "node.k8s.io", Kind: "RuntimeClass"},
		}
	}
	for _, kind := range needed {
		if d.kinds[kind] {
			return true
		}
	}
	return false
}

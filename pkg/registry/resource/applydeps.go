// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// dependencies describes the objects that one apply request creates. Dry runs do not store these objects. Therefore,
// the dry run of an object may fail if the object needs one of them.
type dependencies struct {
	// namespaces contains the names of the Namespaces that the request creates.
	namespaces map[string]bool
	// kinds contains the kinds of the objects that the request creates.
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

func (d dependencies) mustDefer(a *applied) bool {
	// Until the request has created the CustomResourceDefinition or the Namespace, every dry run fails.
	return a.needsDefinition || d.namespaces[a.result.Namespace]
}

// mayDefer returns true if the dry run of an object can depend on other objects of the request that do not exist yet.
// For example, the dry run of a RoleBinding can fail until its Role exists.
func (d dependencies) mayDefer(a *applied) bool {
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

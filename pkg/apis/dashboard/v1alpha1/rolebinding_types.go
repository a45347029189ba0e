// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RoleBindingSpec says who gets which role where, as the spec of a
// KubeVisionRoleBinding does.
type RoleBindingSpec struct {
	// subjects are who gets the role.
	// +listType=atomic
	Subjects []RoleBindingSubject `json:"subjects"`
	// roleRef is the role.
	RoleRef RoleBindingRole `json:"roleRef"`
	// clusters are where the subjects get it.
	Clusters RoleBindingTargets `json:"clusters"`
	// namespaces restrict the role to some of those clusters' namespaces.
	// Without it the role holds in the whole cluster.
	// +optional
	Namespaces *RoleBindingTargets `json:"namespaces,omitempty"`
}

// RoleBindingSubject is somebody who gets a role.
type RoleBindingSubject struct {
	// kind is KubeVisionUser, KubeVisionGroup, User, Group or ServiceAccount.
	Kind string `json:"kind"`
	// name of the subject.
	Name string `json:"name"`
	// namespace of a ServiceAccount.
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// RoleBindingRole names a role.
type RoleBindingRole struct {
	// kind is KubeVisionRole or ClusterRole.
	// +optional
	Kind string `json:"kind,omitempty"`
	// name of a built-in role or of a ClusterRole of the clusters.
	Name string `json:"name"`
}

// RoleBindingTargets are clusters or namespaces, by name or by label: one of
// the two.
type RoleBindingTargets struct {
	// names of the targets.
	// +optional
	// +listType=atomic
	Names []string `json:"names,omitempty"`
	// selector matches the labels of the targets; an empty one matches all.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// CreateRoleBindingRequest is the body of POST /role-bindings.
type CreateRoleBindingRequest struct {
	// name of the role binding, its id from then on.
	Name string `json:"name"`
	// spec says who gets which role where.
	RoleBindingSpec `json:",inline"`
}

// UpdateRoleBindingRequest is the body of PUT /role-bindings/{binding}. It
// replaces all of the spec.
type UpdateRoleBindingRequest struct {
	// spec says who gets which role where.
	RoleBindingSpec `json:",inline"`
	// resourceVersion must be that of the role binding, where it is given.
	// +optional
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

// RoleBinding is a role binding and what has become of it.
type RoleBinding struct {
	// id is the name of the role binding.
	ID string `json:"id"`
	// name of the role binding.
	Name string `json:"name"`
	// spec says who gets which role where.
	RoleBindingSpec `json:",inline"`
	// status is what was applied.
	Status RoleBindingStatus `json:"status"`
	// createdAt is when the role binding was made.
	CreatedAt metav1.Time `json:"createdAt"`
	// resourceVersion is the version of the role binding.
	ResourceVersion string `json:"resourceVersion"`
}

// RoleBindingStatus says what was applied.
type RoleBindingStatus struct {
	// ready is true when the role binding is in force everywhere.
	Ready bool `json:"ready"`
	// summary is the spec in a few words.
	// +optional
	Summary *RoleBindingSummary `json:"summary,omitempty"`
	// conditions of the role binding.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// clusters says what was applied on each cluster.
	// +listType=atomic
	Clusters []RoleBindingClusterStatus `json:"clusters"`
}

// RoleBindingSummary is a spec in a few words.
type RoleBindingSummary struct {
	// subjects of the role binding.
	Subjects string `json:"subjects"`
	// clusters that it selects.
	Clusters string `json:"clusters"`
	// namespaces that it selects.
	Namespaces string `json:"namespaces"`
}

// RoleBindingClusterStatus says what was applied on one cluster.
type RoleBindingClusterStatus struct {
	// name of the cluster.
	Name string `json:"name"`
	// status is True when the role binding is in force there.
	Status string `json:"status"`
	// reason of the status, one word.
	// +optional
	Reason string `json:"reason,omitempty"`
	// message says what an operator may do about it.
	// +optional
	Message string `json:"message,omitempty"`
	// clusterRole that the subjects were bound to.
	// +optional
	ClusterRole string `json:"clusterRole,omitempty"`
	// namespaceCount is the number of namespaces with a RoleBinding; absent
	// where the role holds in all.
	// +optional
	NamespaceCount *int32 `json:"namespaceCount,omitempty"`
	// namespaces are those with a RoleBinding, the first 256 where there are
	// more.
	// +optional
	// +listType=atomic
	Namespaces []string `json:"namespaces,omitempty"`
}

// RoleBindingEnvelope is the answer to what is about one role binding.
type RoleBindingEnvelope struct {
	Header `json:",inline"`
	// data is the role binding.
	// +optional
	Data *RoleBinding `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// RoleBindingListEnvelope is the answer to GET /role-bindings.
type RoleBindingListEnvelope struct {
	Header `json:",inline"`
	// data are the role bindings, by name.
	// +optional
	// +listType=atomic
	Data []RoleBinding `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

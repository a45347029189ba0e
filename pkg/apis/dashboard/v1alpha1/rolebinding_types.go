// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RoleBindingSpec is the spec of a KubeVisionRoleBinding: a role, its subjects, and the clusters and namespaces in
// which it applies.
type RoleBindingSpec struct {
	// subjects are the users, groups and ServiceAccounts that get the role.
	// +listType=atomic
	Subjects []RoleBindingSubject `json:"subjects"`
	// roleRef is the role.
	RoleRef RoleBindingRole `json:"roleRef"`
	// clusters are the clusters on which the subjects get the role.
	Clusters RoleBindingTargets `json:"clusters"`
	// namespaces are the namespaces in which the role applies, by name or by label. If this field is absent, the role
	// applies in the whole cluster.
	// +optional
	Namespaces *RoleBindingTargets `json:"namespaces,omitempty"`
}

// RoleBindingSubject is a user, group or ServiceAccount that gets a role.
type RoleBindingSubject struct {
	// kind is KubeVisionUser, KubeVisionGroup, User, Group or ServiceAccount.
	Kind string `json:"kind"`
	// name is the name of the subject.
	Name string `json:"name"`
	// namespace is the namespace of a ServiceAccount.
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// RoleBindingRole names a role.
type RoleBindingRole struct {
	// kind is KubeVisionRole or ClusterRole.
	// +optional
	Kind string `json:"kind,omitempty"`
	// name is the name of a built-in role, or of a ClusterRole on the clusters.
	Name string `json:"name"`
}

// RoleBindingTargets selects clusters or namespaces, either by name or by label.
type RoleBindingTargets struct {
	// names are the names of the selected clusters or namespaces.
	// +optional
	// +listType=atomic
	Names []string `json:"names,omitempty"`
	// selector selects clusters or namespaces by their labels. An empty selector selects all clusters or namespaces.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// CreateRoleBindingRequest is the body of POST /role-bindings.
type CreateRoleBindingRequest struct {
	// name is the name of the role binding, which is also its id.
	Name string `json:"name"`
	// RoleBindingSpec contains the role, the subjects, and the clusters and namespaces in which the role applies.
	RoleBindingSpec `json:",inline"`
}

// UpdateRoleBindingRequest is the body of PUT /role-bindings/{binding}. It replaces the whole spec.
type UpdateRoleBindingRequest struct {
	// RoleBindingSpec contains the role, the subjects, and the clusters and namespaces in which the role applies.
	RoleBindingSpec `json:",inline"`
	// resourceVersion is the expected resourceVersion of the KubeVisionRoleBinding. If it is set and differs, the
	// request fails.
	// +optional
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

// RoleBinding is a role binding with its status.
type RoleBinding struct {
	// id is the name of the role binding.
	ID string `json:"id"`
	// name is the name of the role binding.
	Name string `json:"name"`
	// RoleBindingSpec contains the role, the subjects, and the clusters and namespaces in which the role applies.
	RoleBindingSpec `json:",inline"`
	// status describes whether the role binding is in force on the selected clusters.
	Status RoleBindingStatus `json:"status"`
	// createdAt is the creation time of the role binding.
	CreatedAt metav1.Time `json:"createdAt"`
	// resourceVersion is the resourceVersion of the KubeVisionRoleBinding.
	ResourceVersion string `json:"resourceVersion"`
}

// RoleBindingStatus describes whether a role binding is in force on the selected clusters.
type RoleBindingStatus struct {
	// ready is true if the role binding is in force on all selected clusters that are reachable.
	Ready bool `json:"ready"`
	// summary contains the subjects, clusters and namespaces of the role binding as short texts.
	// +optional
	Summary *RoleBindingSummary `json:"summary,omitempty"`
	// conditions are the conditions of the role binding.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// clusters contains one item for each selected cluster. The item says whether the role binding is in force on this
	// cluster.
	// +listType=atomic
	Clusters []RoleBindingClusterStatus `json:"clusters"`
}

// RoleBindingSummary contains the subjects, clusters and namespaces of a role binding as short texts, for example for a
// table.
type RoleBindingSummary struct {
	// subjects contains the names of the subjects, separated by commas.
	Subjects string `json:"subjects"`
	// clusters contains the names of the selected clusters, separated by commas, or a description of the selector.
	Clusters string `json:"clusters"`
	// namespaces contains the names of the selected namespaces, separated by commas, or a description of the selector.
	Namespaces string `json:"namespaces"`
}

// RoleBindingClusterStatus says whether a role binding is in force on one cluster, and in which namespaces.
type RoleBindingClusterStatus struct {
	// name is the name of the cluster.
	Name string `json:"name"`
	// status is True if the role binding is in force on the cluster, and False if it is not.
	Status string `json:"status"`
	// reason is the machine-readable cause of the status.
	// +optional
	Reason string `json:"reason,omitempty"`
	// message is present in two cases. If the role binding is not in force on the cluster, message describes the cause,
	// and for some causes the solution. If the role binding is in force, but grants only the role readonly in protected
	// namespaces, message names these namespaces.
	// +optional
	Message string `json:"message,omitempty"`
	// clusterRole is the ClusterRole to which the subjects are bound.
	// +optional
	ClusterRole string `json:"clusterRole,omitempty"`
	// namespaceCount is the number of namespaces with a RoleBinding. It is absent if the role applies in all
	// namespaces.
	// +optional
	NamespaceCount *int32 `json:"namespaceCount,omitempty"`
	// namespaces are the namespaces with a RoleBinding, at most the first 256.
	// +optional
	// +listType=atomic
	Namespaces []string `json:"namespaces,omitempty"`
}

// RoleBindingEnvelope is the response to requests for one role binding.
type RoleBindingEnvelope struct {
	Header `json:",inline"`
	// data is the role binding.
	// +optional
	Data *RoleBinding `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// RoleBindingListEnvelope is the response to GET /role-bindings.
type RoleBindingListEnvelope struct {
	Header `json:",inline"`
	// data contains the role bindings, sorted by name.
	// +optional
	// +listType=atomic
	Data []RoleBinding `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

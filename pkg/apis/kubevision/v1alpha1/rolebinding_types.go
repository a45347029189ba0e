// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SubjectKind is the kind of a subject.
//
// +kubebuilder:validation:Enum=KubeVisionUser;KubeVisionGroup;User;Group;ServiceAccount
type SubjectKind string

// Values of SubjectKind.
const (
	// SubjectKubeVisionUser is the kind of a subject that is a KubeVisionUser.
	SubjectKubeVisionUser SubjectKind = "KubeVisionUser"
	// SubjectKubeVisionGroup is the kind of a subject that is a KubeVision group, which is an entry of spec.groups of
	// KubeVisionUsers.
	SubjectKubeVisionGroup SubjectKind = "KubeVisionGroup"
	// SubjectUser is the kind of a subject that is a Kubernetes user, whom the host's kube-apiserver authenticates.
	SubjectUser SubjectKind = "User"
	// SubjectGroup is the kind of a subject that is a Kubernetes group, whose members the host's kube-apiserver
	// authenticates.
	SubjectGroup SubjectKind = "Group"
	// SubjectServiceAccount is the kind of a subject that is a ServiceAccount of the host cluster.
	SubjectServiceAccount SubjectKind = "ServiceAccount"
)

// RoleKind is the kind of a role.
//
// +kubebuilder:validation:Enum=KubeVisionRole;ClusterRole
type RoleKind string

// Values of RoleKind.
const (
	// RoleKubeVision means that the role is a built-in role: admin, ops, dev or readonly.
	RoleKubeVision RoleKind = "KubeVisionRole"
	// RoleClusterRole means that the role is a ClusterRole of the target cluster.
	RoleClusterRole RoleKind = "ClusterRole"
)

// Names of the built-in roles. For each built-in role, KubeVision creates a ClusterRole "kubevision:<name>" on every
// cluster.
const (
	// RoleAdmin grants all rights.
	RoleAdmin = "admin"
	// RoleOps grants the rights of the Kubernetes ClusterRole admin. In protected namespaces, for example kube-system,
	// it grants only the rights of the role readonly. Users with the role in a whole cluster can also operate nodes.
	RoleOps = "ops"
	// RoleDev grants the rights of the Kubernetes ClusterRole edit. In protected namespaces, for example kube-system,
	// it grants only the rights of the role readonly.
	RoleDev = "dev"
	// RoleReadonly grants the rights of the Kubernetes ClusterRole view. They do not include the right to read Secrets.
	RoleReadonly = "readonly"
)

// KubeVisionRoleBinding grants a role to subjects, on any number of clusters. KubeVision creates RoleBindings and
// ClusterRoleBindings on these clusters, and deletes them with the KubeVisionRoleBinding. The RBAC of each cluster
// authorizes the requests of the subjects.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=kvrb,categories=kubevision
// +kubebuilder:printcolumn:name="Role",type=string,JSONPath=`.spec.roleRef.name`
// +kubebuilder:printcolumn:name="Subjects",type=string,JSONPath=`.status.summary.subjects`
// +kubebuilder:printcolumn:name="Clusters",type=string,JSONPath=`.status.summary.clusters`
// +kubebuilder:printcolumn:name="Namespaces",type=string,JSONPath=`.status.summary.namespaces`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Unreachable",type=integer,JSONPath=`.status.unreachableClusters`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="the name of a role binding must have at most 63 characters"
// +kubebuilder:validation:XValidation:rule=`oldSelf.hasValue() || !self.metadata.name.matches('(^|[.])xn--')`,optionalOldSelf=true,message="the name must not contain 'xn--': a program that decodes Punycode displays another name"
type KubeVisionRoleBinding struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the role, its subjects, and the clusters and namespaces in which it applies.
	// +required
	Spec KubeVisionRoleBindingSpec `json:"spec"`
	// status describes on which clusters the binding is in force. Only KubeVision writes it.
	// +optional
	Status KubeVisionRoleBindingStatus `json:"status,omitempty"`
}

// KubeVisionRoleBindingSpec describes a role, its subjects, and the clusters and namespaces in which it applies.
type KubeVisionRoleBindingSpec struct {
	// subjects are the users, groups and ServiceAccounts that get the role.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Subjects []Subject `json:"subjects"`

	// roleRef is the role that the subjects get.
	// +required
	RoleRef RoleReference `json:"roleRef"`

	// clusters selects, by name or by label, the clusters on which the subjects get the role.
	// +required
	Clusters ClusterTargets `json:"clusters"`

	// namespaces selects, by name or by label, the namespaces in which the role applies. If this field is absent, the
	// role applies in the whole cluster.
	// +optional
	Namespaces *NamespaceTargets `json:"namespaces,omitempty"`
}

// Subject is a user, group or ServiceAccount that gets a role.
//
// +kubebuilder:validation:XValidation:rule="self.kind == 'ServiceAccount' ? has(self.__namespace__) : !has(self.__namespace__)",message="namespace is required for a ServiceAccount, and not allowed for other kinds"
// +kubebuilder:validation:XValidation:rule="!(self.kind in ['KubeVisionUser','KubeVisionGroup','ServiceAccount']) || self.name.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="the name of a KubeVisionUser, KubeVisionGroup or ServiceAccount may only contain lower case letters, digits, '-' and '.'"
// +kubebuilder:validation:XValidation:rule="!(self.kind in ['User','Group']) || !self.name.lowerAscii().startsWith('kubevision:')",message="names that begin with 'kubevision:' are reserved; use kind KubeVisionUser or KubeVisionGroup and omit the prefix"
// +kubebuilder:validation:XValidation:rule="self.kind != 'User' || !self.name.lowerAscii().startsWith('system:')",message="users that begin with 'system:' are reserved; use kind ServiceAccount for a service account"
// +kubebuilder:validation:XValidation:rule="self.kind != 'Group' || !self.name.lowerAscii().startsWith('system:') || self.name in ['system:authenticated','system:serviceaccounts'] || self.name.startsWith('system:serviceaccounts:')",message="groups that begin with 'system:' are reserved, except system:authenticated, system:serviceaccounts and system:serviceaccounts:<namespace>"
// +kubebuilder:validation:XValidation:rule=`!(self.kind in ['User','Group']) || self.name.matches(r'^[^\pC\pZ]+( +[^\pC\pZ]+)*$')`,message="the name of a User or Group must not contain control or invisible characters, or begin or end with a blank"
type Subject struct {
	// kind is the kind of the subject: KubeVisionUser or KubeVisionGroup for users who log in to KubeVision; User,
	// Group or ServiceAccount for callers that the host's kube-apiserver authenticates.
	// +required
	Kind SubjectKind `json:"kind"`

	// name is the name of the subject.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// namespace is the namespace of a ServiceAccount.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace string `json:"namespace,omitempty"`
}

// RoleReference names a role.
//
// +kubebuilder:validation:XValidation:rule="!has(self.kind) || self.kind != 'KubeVisionRole' || self.name in ['admin','ops','dev','readonly']",message="a KubeVisionRole must be admin, ops, dev or readonly"
// +kubebuilder:validation:XValidation:rule="!(self.name in ['.','..'])",message="the name of a ClusterRole must not be . or .."
type RoleReference struct {
	// kind is the kind of the role. Without a kind, the names admin, ops, dev and readonly mean the built-in roles, and
	// any other name means a ClusterRole of the target cluster.
	// +optional
	Kind RoleKind `json:"kind,omitempty"`

	// name is the name of a built-in role (admin, ops, dev, readonly) or of a ClusterRole on the target clusters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[^/%]+$`
	Name string `json:"name"`
}

// ClusterTargets selects KubeVisionClusters.
//
// +kubebuilder:validation:XValidation:rule="has(self.names) != has(self.selector)",message="exactly one of names and selector must be set"
type ClusterTargets struct {
	// names are the names of KubeVisionClusters.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Names []string `json:"names,omitempty"`

	// selector matches the labels of KubeVisionClusters. An empty selector matches every cluster, including clusters
	// that are registered later.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// NamespaceTargets selects namespaces.
//
// +kubebuilder:validation:XValidation:rule="has(self.names) != has(self.selector)",message="exactly one of names and selector must be set"
type NamespaceTargets struct {
	// names are the names of namespaces. If a namespace does not exist yet, the role is granted after its creation.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Names []string `json:"names,omitempty"`

	// selector matches the labels of namespaces. An empty selector matches every namespace, including namespaces that
	// are created later.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// KubeVisionRoleBindingStatus describes on which clusters a KubeVisionRoleBinding is in force.
type KubeVisionRoleBindingStatus struct {
	// conditions are the conditions of the binding: Ready, SubjectsResolved, Applied and ClustersReachable. Ready
	// refers to the reachable clusters; it is False if no cluster is reachable.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec to which the conditions refer.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// summary is a short form of the spec, for tables.
	// +optional
	Summary *RoleBindingSummary `json:"summary,omitempty"`

	// unreachableClusters is the number of selected clusters that are not reachable. The binding is applied to a
	// cluster as soon as the cluster is reachable.
	// +optional
	UnreachableClusters *int32 `json:"unreachableClusters,omitempty"`

	// clusters contains the state of the binding on each cluster.
	// +optional
	// +listType=map
	// +listMapKey=name
	Clusters []RoleBindingClusterStatus `json:"clusters,omitempty"`
}

// RoleBindingSummary is a short form of the spec of a KubeVisionRoleBinding, for tables. Long texts are truncated.
type RoleBindingSummary struct {
	// subjects contains the kind and the name of each subject, such as KubeVisionUser/alice, separated by commas.
	// +optional
	Subjects string `json:"subjects,omitempty"`
	// clusters contains the names of the selected clusters, separated by commas. If the binding selects clusters by
	// their labels, the field contains the label selector instead. <all> means all clusters.
	// +optional
	Clusters string `json:"clusters,omitempty"`
	// namespaces contains the names of the selected namespaces, separated by commas. If the binding selects namespaces
	// by their labels, the field contains the label selector instead. <all> means all namespaces.
	// +optional
	Namespaces string `json:"namespaces,omitempty"`
}

// RoleBindingClusterStatus is the state of a KubeVisionRoleBinding on one cluster.
type RoleBindingClusterStatus struct {
	// name is the name of the cluster.
	// +required
	Name string `json:"name"`
	// status says whether the binding is in force on the cluster.
	// +required
	// +kubebuilder:validation:Enum=True;False;Unknown
	Status metav1.ConditionStatus `json:"status"`
	// reason is the machine-readable cause of the status.
	// +optional
	Reason string `json:"reason,omitempty"`
	// message describes the cause of the status. If the binding is not in force, message also says how to correct this.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// clusterRole is the ClusterRole to which the subjects are bound.
	// +optional
	ClusterRole string `json:"clusterRole,omitempty"`
	// namespaceCount is the number of namespaces with a RoleBinding. It is absent if a ClusterRoleBinding alone covers
	// all namespaces.
	// +optional
	NamespaceCount *int32 `json:"namespaceCount,omitempty"`
	// namespaces are the namespaces of the cluster in which KubeVision creates a RoleBinding, in alphabetical order.
	// The field is absent if spec.namespaces is absent. The list has at most 256 entries, and fewer if the status would
	// be too large.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	Namespaces []string `json:"namespaces,omitempty"`
}

// KubeVisionRoleBindingList is a list of role bindings.
//
// +kubebuilder:object:root=true
type KubeVisionRoleBindingList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []KubeVisionRoleBinding `json:"items"`
}

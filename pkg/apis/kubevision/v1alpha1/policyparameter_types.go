// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// KubeVisionPolicyParameter is a parameter of an admission policy. It contains data about many objects, because CEL
// cannot list objects. There are two objects of this kind: one for the policies that protect the only remaining
// administrator, and one for the policy that limits the number and size of objects.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=kvpp,categories=kubevision
// +kubebuilder:printcolumn:name="Admins",type=integer,JSONPath=`.spec.lastAdmin.adminCount`
// +kubebuilder:printcolumn:name="Last Admin",type=string,JSONPath=`.spec.lastAdmin.user`
// +kubebuilder:printcolumn:name="Last Binding",type=string,JSONPath=`.spec.lastAdmin.binding`
// +kubebuilder:printcolumn:name="Users",type=integer,JSONPath=`.spec.objectQuota.users.used`
// +kubebuilder:printcolumn:name="Clusters",type=integer,JSONPath=`.spec.objectQuota.clusters.used`
// +kubebuilder:printcolumn:name="Bindings",type=integer,JSONPath=`.spec.objectQuota.roleBindings.used`
// +kubebuilder:printcolumn:name="Counted",type=date,JSONPath=`.spec.objectQuota.countTime`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="(self.metadata.name == 'kubevision-last-admin' && has(self.spec.lastAdmin)) || (self.metadata.name == 'kubevision-object-quota' && has(self.spec.objectQuota))",message="the name must be kubevision-last-admin, with spec.lastAdmin, or kubevision-object-quota, with spec.objectQuota"
type KubeVisionPolicyParameter struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata. The name is the name of the policy: kubevision-last-admin or
	// kubevision-object-quota.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec contains the values that the policy reads. Only kubevision-controller-manager writes it.
	// +required
	Spec KubeVisionPolicyParameterSpec `json:"spec"`
}

// KubeVisionPolicyParameterSpec contains the values for one policy.
//
// +kubebuilder:validation:XValidation:rule="has(self.lastAdmin) != has(self.objectQuota)",message="exactly one of lastAdmin and objectQuota must be set"
type KubeVisionPolicyParameterSpec struct {
	// lastAdmin contains the parameters of the policies kubevision-last-admin and kubevision-last-admin-binding. These
	// policies prevent the removal of the last administrator who can log in.
	// +optional
	LastAdmin *LastAdminParameter `json:"lastAdmin,omitempty"`

	// objectQuota contains the limits for the number and the size of objects, for the policy kubevision-object-quota.
	// +optional
	ObjectQuota *ObjectQuotaParameter `json:"objectQuota,omitempty"`
}

// LastAdminParameter describes the administrators who can log in. Administrators are users with the built-in role admin
// in the whole host cluster. Users without a password and disabled users cannot log in. ValidatingAdmissionPolicies
// prevent the removal of the only remaining administrator, and of the only remaining KubeVisionRoleBinding that makes
// users administrators.
type LastAdminParameter struct {
	// user is the name of the administrator who can log in, if there is only one. If there are several, the field is
	// absent, and no user is protected.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	User string `json:"user,omitempty"`

	// userGroups are the groups through which the user in spec.lastAdmin.user is an administrator. The user must keep
	// at least one of these groups. If a KubeVisionRoleBinding names the user directly, the user needs no group, and
	// the field is absent.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=63
	UserGroups []string `json:"userGroups,omitempty"`

	// binding is the name of the KubeVisionRoleBinding that makes users administrators, if there is only one. If there
	// are several, the field is absent.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Binding string `json:"binding,omitempty"`

	// bindingSubjects are the KubeVisionUsers and groups that are subjects of the KubeVisionRoleBinding in
	// spec.lastAdmin.binding. At least one of these users and groups must remain a subject. The list omits users who
	// cannot log in, and groups without a user who can log in.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	BindingSubjects []AdminSubject `json:"bindingSubjects,omitempty"`

	// admins are the first 256 administrators who can log in, in alphabetical order. The field is only for information.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=63
	Admins []string `json:"admins,omitempty"`

	// adminCount is the number of administrators who can log in. The field is only for information.
	// +required
	// +kubebuilder:validation:Minimum=0
	AdminCount int32 `json:"adminCount"`
}

// AdminSubject is a user or group to which a KubeVisionRoleBinding grants the built-in role admin in the whole host
// cluster.
//
// +kubebuilder:validation:XValidation:rule="self.kind in ['KubeVisionUser','KubeVisionGroup']",message="kind must be KubeVisionUser or KubeVisionGroup"
type AdminSubject struct {
	// kind is the kind of the subject: KubeVisionUser or KubeVisionGroup.
	// +required
	Kind SubjectKind `json:"kind"`

	// name is the name of the subject.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
}

// ObjectQuotaParameter contains the current number and size of KubeVision's objects, and the limits for both. The
// ValidatingAdmissionPolicy kubevision-object-quota reads these values, and enforces the limits.
type ObjectQuotaParameter struct {
	// countTime is the time at which the objects were last counted. The controller updates this time each minute, and
	// when a number or size reaches its limit or falls below it again. If the last count is older than five minutes, no
	// object can be created.
	// +required
	CountTime metav1.Time `json:"countTime"`

	// users contains the number of KubeVisionUsers and the maximum number. The flag --max-users of
	// kubevision-controller-manager sets the maximum.
	// +required
	Users ObjectQuotaUsage `json:"users"`

	// clusters contains the number of KubeVisionClusters and the maximum number. The flag --max-clusters of
	// kubevision-controller-manager sets the maximum.
	// +required
	Clusters ObjectQuotaUsage `json:"clusters"`

	// roleBindings contains the number of KubeVisionRoleBindings and the maximum number. The flag --max-role-bindings
	// of kubevision-controller-manager sets the maximum.
	// +required
	RoleBindings ObjectQuotaUsage `json:"roleBindings"`

	// bytes contains the total size of all KubeVisionUsers, KubeVisionClusters and KubeVisionRoleBindings, and the
	// maximum size. The size of an object is the length of the JSON without managed fields. The flag --max-object-bytes
	// of kubevision-controller-manager sets the maximum. At the maximum, objects can only shrink.
	// +required
	Bytes ObjectQuotaUsage `json:"bytes"`
}

// ObjectQuotaUsage contains either the number of objects of one kind and its limit, or the total size of KubeVision's
// objects and its limit. Sizes are in bytes.
type ObjectQuotaUsage struct {
	// used is the number of objects at the last count, or their total size in bytes if the field that contains used is
	// spec.objectQuota.bytes. The time of the last count is in spec.objectQuota.countTime.
	// +required
	// +kubebuilder:validation:Minimum=0
	Used int64 `json:"used"`

	// limit is the maximum number of objects, or their maximum total size in bytes if the field that contains limit is
	// spec.objectQuota.bytes.
	// +required
	// +kubebuilder:validation:Minimum=1
	Limit int64 `json:"limit"`
}

// KubeVisionPolicyParameterList is a list of parameters.
//
// +kubebuilder:object:root=true
type KubeVisionPolicyParameterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []KubeVisionPolicyParameter `json:"items"`
}

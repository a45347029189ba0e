// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// TwoFactorPolicy is the policy for a user's second factor.
//
// +kubebuilder:validation:Enum=Optional;Required
type TwoFactorPolicy string

// Values of TwoFactorPolicy.
const (
	// TwoFactorOptional allows the user to have no second factor.
	TwoFactorOptional TwoFactorPolicy = "Optional"
	// TwoFactorRequired means that the user must have a second factor. A user without a second factor can do nothing
	// except set one up.
	TwoFactorRequired TwoFactorPolicy = "Required"
)

// KubeVisionUser is a person who logs in to the dashboard. On every cluster, the user is the Kubernetes user
// "kubevision:<metadata.name>" in the group "kubevision:users" and in "kubevision:group:<g>" for each of spec.groups.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=kvu,categories=kubevision
// +kubebuilder:printcolumn:name="Display Name",type=string,JSONPath=`.spec.displayName`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="2FA",type=boolean,JSONPath=`.status.twoFactorEnabled`
// +kubebuilder:printcolumn:name="Last Login",type=date,JSONPath=`.status.lastLoginTime`
// +kubebuilder:printcolumn:name="Locked Until",type=string,format=date-time,JSONPath=`.status.lockedUntil`
// +kubebuilder:printcolumn:name="Groups",type=string,JSONPath=`.spec.groups`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="a user name must have at most 63 characters"
// +kubebuilder:validation:XValidation:rule=`oldSelf.hasValue() || !self.metadata.name.matches('(^|[.])xn--')`,optionalOldSelf=true,message="the name must not contain 'xn--': a program that decodes Punycode displays another name"
// +kubebuilder:validation:XValidation:rule=`oldSelf.hasValue() || !(self.metadata.name == 'users' || self.metadata.name.startsWith('kubevision-'))`,optionalOldSelf=true,message="the user name 'users' and names that begin with 'kubevision-' are reserved"
type KubeVisionUser struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata. The name is the name with which the user logs in.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec describes the user.
	// +optional
	Spec KubeVisionUserSpec `json:"spec,omitempty"`
	// status is the observed state. Only KubeVision writes it.
	// +optional
	Status KubeVisionUserStatus `json:"status,omitempty"`
}

// KubeVisionUserSpec describes a user. It never contains a password.
type KubeVisionUserSpec struct {
	// displayName is the name that the dashboard displays. Defaults to the name of the object.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	DisplayName string `json:"displayName,omitempty"`

	// email is the user's email address, for display.
	// +optional
	// +kubebuilder:validation:MaxLength=320
	// +kubebuilder:validation:Pattern=`^[^@\s]+@[^@\s]+$`
	Email string `json:"email,omitempty"`

	// groups are the KubeVision groups of the user. A KubeVisionRoleBinding refers to a group with a subject of kind
	// KubeVisionGroup.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	// +kubebuilder:validation:XValidation:rule=`!self.exists(g, g.matches('(^|[.])xn--'))`,message="a group must not contain 'xn--': a program that decodes Punycode displays another name"
	Groups []string `json:"groups,omitempty"`

	// disabled ends all sessions of the user and rejects new ones.
	// +optional
	Disabled bool `json:"disabled,omitempty"`

	// twoFactor is the policy for the user's second factor. Defaults to Optional.
	// +optional
	// +kubebuilder:default=Optional
	TwoFactor TwoFactorPolicy `json:"twoFactor,omitempty"`

	// passwordSecretRef names the Secret with the user's password, in the namespace kubevision-system. The value is
	// either the password in clear text or its argon2id hash in PHC string format. One newline at its end is ignored.
	// The Secret is read when it is created and when it changes. A user without a password cannot log in.
	// +optional
	PasswordSecretRef *SecretKeyReference `json:"passwordSecretRef,omitempty"`

	// mustChangePassword requires the user to choose a new password at the next login.
	// +optional
	MustChangePassword bool `json:"mustChangePassword,omitempty"`
}

// SecretKeyReference names a key of a Secret in the namespace in which KubeVision is installed. It cannot name
// KubeVision's own Secrets, so that users cannot make KubeVision read a Secret that they may not read.
//
// +kubebuilder:validation:XValidation:rule=`!(self.name in ['kubevision-signing-keys','kubevision-apiserver-tls'] || self.name.startsWith('kubevision-credentials-'))`,message="this Secret is reserved for KubeVision; create another one"
type SecretKeyReference struct {
	// name is the name of the Secret, in the namespace kubevision-system.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`

	// key is the key in the Secret's data. Defaults to "password" for a user and to "kubeconfig" for a cluster.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key,omitempty"`
}

// KubeVisionUserStatus is the observed state of a user.
type KubeVisionUserStatus struct {
	// conditions are the conditions of the user: Ready and CredentialsReady.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec to which the conditions refer.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// twoFactorEnabled is true if the user has an active second factor.
	// +optional
	TwoFactorEnabled bool `json:"twoFactorEnabled,omitempty"`

	// recoveryCodesRemaining is the number of unused recovery codes. It is absent without a second factor.
	// +optional
	RecoveryCodesRemaining *int32 `json:"recoveryCodesRemaining,omitempty"`

	// lastLoginTime is the time of the last complete login.
	// +optional
	LastLoginTime *metav1.Time `json:"lastLoginTime,omitempty"`

	// lockedUntil is the time before which no login is accepted, because too many logins have failed.
	// +optional
	LockedUntil *metav1.Time `json:"lockedUntil,omitempty"`
}

// KubeVisionUserList is a list of users.
//
// +kubebuilder:object:root=true
type KubeVisionUserList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []KubeVisionUser `json:"items"`
}

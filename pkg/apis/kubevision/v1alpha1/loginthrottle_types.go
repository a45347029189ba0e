// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ThrottleTarget says whose failed logins are counted.
//
// +kubebuilder:validation:Enum=User;UnknownName;Address;Session;Device
type ThrottleTarget string

// Targets of a throttle.
const (
	// ThrottleUser counts the failures of one KubeVisionUser.
	ThrottleUser ThrottleTarget = "User"
	// ThrottleUnknownName counts the failures of a name without a user, so that the responses do not reveal that
	// there is none.
	ThrottleUnknownName ThrottleTarget = "UnknownName"
	// ThrottleAddress counts the failures of one client address, or of an IPv6 network that may belong to one client.
	ThrottleAddress ThrottleTarget = "Address"
	// ThrottleSession counts wrong passwords in a session.
	ThrottleSession ThrottleTarget = "Session"
	// ThrottleDevice counts the failures of a device that has logged in to the account before. Only these failures
	// delay the device.
	ThrottleDevice ThrottleTarget = "Device"
)

// KubeVisionLoginThrottle counts the failed logins of a user, of a name that
// is nobody's, or of a client address, and the wrong passwords given in a
// session. Once there are too many, the next must wait. Deleting it lets them
// go on at once.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=kvlt,categories=kubevision
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.spec.target`
// +kubebuilder:printcolumn:name="User",type=string,JSONPath=`.spec.userName`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.spec.address`
// +kubebuilder:printcolumn:name="Failures",type=integer,JSONPath=`.spec.failures`
// +kubebuilder:printcolumn:name="Blocked Until",type=string,format=date-time,JSONPath=`.spec.blockedUntil`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type KubeVisionLoginThrottle struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata. The name follows from the
	// target.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what was counted. It is written by KubeVision only.
	// +required
	Spec KubeVisionLoginThrottleSpec `json:"spec"`
}

// KubeVisionLoginThrottleSpec is a count of failed logins.
//
// +kubebuilder:validation:XValidation:rule="has(self.userName) == (self.target == 'User')",message="userName is given for the target User only"
// +kubebuilder:validation:XValidation:rule="has(self.address) == (self.target == 'Address')",message="address is given for the target Address only"
// +kubebuilder:validation:XValidation:rule="has(self.session) == (self.target == 'Session')",message="session is given for the target Session only"
// +kubebuilder:validation:XValidation:rule="has(self.device) == (self.target == 'Device')",message="device is given for the target Device only"
// +kubebuilder:validation:XValidation:rule="self.target == oldSelf.target && (!has(self.userName) || self.userName == oldSelf.userName)",message="a throttle cannot change its target"
type KubeVisionLoginThrottleSpec struct {
	// target says whose failures are counted.
	// +required
	Target ThrottleTarget `json:"target"`

	// userName is the KubeVisionUser, where the target is one. The name that
	// is nobody's is not kept: it may be a password in the wrong field.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	UserName string `json:"userName,omitempty"`

	// session is the KubeVisionSession, where the target is one.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Session string `json:"session,omitempty"`

	// device is the id of the device, where the target is one.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Device string `json:"device,omitempty"`

	// address is the client address, where the target is one; of IPv6, the
	// network of 64, 56 or 48 bits.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Address string `json:"address,omitempty"`

	// failures is the number of failed logins that are not forgiven yet, as of
	// lastFailureTime.
	// +required
	// +kubebuilder:validation:Minimum=1
	Failures int32 `json:"failures"`

	// lastFailureTime is when a login failed last.
	// +required
	LastFailureTime metav1.MicroTime `json:"lastFailureTime"`

	// blockedUntil is the time before which no login is accepted.
	// +optional
	BlockedUntil *metav1.Time `json:"blockedUntil,omitempty"`
}

// KubeVisionLoginThrottleList is a list of throttles.
//
// +kubebuilder:object:root=true
type KubeVisionLoginThrottleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []KubeVisionLoginThrottle `json:"items"`
}

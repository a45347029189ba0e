// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ThrottleTarget determines which failures a KubeVisionLoginThrottle counts.
//
// +kubebuilder:validation:Enum=User;UnknownName;Address;Session;Device
type ThrottleTarget string

// Values of ThrottleTarget.
const (
	// ThrottleUser means that the throttle counts the failed logins of one KubeVisionUser.
	ThrottleUser ThrottleTarget = "User"
	// ThrottleUnknownName means that the throttle counts the failed logins with one unknown user name. Unknown names
	// are locked like existing names, so that responses do not reveal which names exist.
	ThrottleUnknownName ThrottleTarget = "UnknownName"
	// ThrottleAddress means that the throttle counts the failed logins from one client address, or from an IPv6 network
	// that may belong to one client.
	ThrottleAddress ThrottleTarget = "Address"
	// ThrottleSession means that the throttle counts the wrong passwords that a user enters in one session.
	ThrottleSession ThrottleTarget = "Session"
	// ThrottleDevice means that the throttle counts the failed logins from one known device. The user has logged in
	// from this device before. Failures of other clients do not delay logins from this device.
	ThrottleDevice ThrottleTarget = "Device"
)

// KubeVisionLoginThrottle counts the failed logins for one user, unknown name, device or client address. If the target
// is a session, the throttle counts the wrong passwords that the user enters in the session. After too many failures,
// KubeVision rejects further attempts for a time. Deleting the throttle ends this lock.
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
	// metadata is the standard object metadata. The name is derived from the target.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec contains the number of failures, and the end of the resulting lock. Only KubeVision writes it.
	// +required
	Spec KubeVisionLoginThrottleSpec `json:"spec"`
}

// KubeVisionLoginThrottleSpec contains the number of failures of one target, and the end of the resulting lock. The
// target is a user, an unknown name, a client address, a session or a device. The failures are failed logins or, in a
// session, wrong passwords.
//
// +kubebuilder:validation:XValidation:rule="has(self.userName) == (self.target == 'User')",message="userName must be set for the target User, and only for this target"
// +kubebuilder:validation:XValidation:rule="has(self.address) == (self.target == 'Address')",message="address must be set for the target Address, and only for this target"
// +kubebuilder:validation:XValidation:rule="has(self.session) == (self.target == 'Session')",message="session must be set for the target Session, and only for this target"
// +kubebuilder:validation:XValidation:rule="has(self.device) == (self.target == 'Device')",message="device must be set for the target Device, and only for this target"
// +kubebuilder:validation:XValidation:rule="self.target == oldSelf.target && (!has(self.userName) || self.userName == oldSelf.userName)",message="the target of a throttle is immutable"
type KubeVisionLoginThrottleSpec struct {
	// target determines which failures are counted: those of a user, an unknown name, a client address, a session or a
	// device.
	// +required
	Target ThrottleTarget `json:"target"`

	// userName is the name of the KubeVisionUser if spec.target is User. An unknown name is not stored, because it may
	// be a mistyped password.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	UserName string `json:"userName,omitempty"`

	// session is the name of the KubeVisionSession if spec.target is Session.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Session string `json:"session,omitempty"`

	// device is the id of the device if spec.target is Device.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Device string `json:"device,omitempty"`

	// address is the IPv4 address or the IPv6 network from which the failed logins came. The field is set if
	// spec.target is Address. A failed login from an IPv6 address counts in three KubeVisionLoginThrottles: one for the
	// /64, one for the /56 and one for the /48.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Address string `json:"address,omitempty"`

	// failures is the number of recent failures. Older failures are not counted.
	// +required
	// +kubebuilder:validation:Minimum=1
	Failures int32 `json:"failures"`

	// lastFailureTime is the time of the last failure.
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

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// KubeVisionSession is one login of a user. Its deletion logs out the client of this login on every replica.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=kvsession,categories=kubevision
// +kubebuilder:printcolumn:name="User",type=string,JSONPath=`.spec.userName`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.spec.client.address`
// +kubebuilder:printcolumn:name="Client",type=string,JSONPath=`.spec.client.userAgent`,priority=1
// +kubebuilder:printcolumn:name="Expires",type=string,format=date-time,JSONPath=`.spec.expirationTime`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type KubeVisionSession struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata. The name is the session id in access tokens.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec describes the login. Only KubeVision writes this field.
	// +required
	Spec KubeVisionSessionSpec `json:"spec"`
}

// KubeVisionSessionSpec describes a login.
//
// +kubebuilder:validation:XValidation:rule="self.userName == oldSelf.userName && self.userUID == oldSelf.userUID",message="the user of a session is immutable"
type KubeVisionSessionSpec struct {
	// userName is the name of the KubeVisionUser.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	UserName string `json:"userName"`

	// userUID is the UID of the KubeVisionUser. A session of a deleted user is not valid for a new user with the same
	// name.
	// +required
	UserUID types.UID `json:"userUID"`

	// client describes the client of the login.
	// +optional
	Client SessionClient `json:"client,omitempty"`

	// authenticationMethods are the methods of authentication (RFC 8176): pwd for a password, otp for a one-time
	// code.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=16
	AuthenticationMethods []string `json:"authenticationMethods,omitempty"`

	// expirationTime is the time at which the session ends if it is not refreshed before.
	// +required
	ExpirationTime metav1.Time `json:"expirationTime"`

	// refreshTokenHash is the SHA-256 hash, in hexadecimal digits, of the current refresh token.
	// +required
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	RefreshTokenHash string `json:"refreshTokenHash"`

	// previousRefreshTokenHashes are the hashes of the previous refresh tokens, the latest first. For a short time
	// after each rotation, the client may use the latest of these tokens again. Any other use of these tokens ends the
	// session, because it shows that a token was copied.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:Pattern=`^[0-9a-f]{64}$`
	PreviousRefreshTokenHashes []string `json:"previousRefreshTokenHashes,omitempty"`

	// rotationSalt is the salt with which the server derived the current refresh token from the previous one. If a
	// client sends the previous token in concurrent requests, each response contains the same new token. The salt is
	// useless without the previous token.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	RotationSalt string `json:"rotationSalt,omitempty"`

	// credentialsEpoch is the epoch of the user's credentials at the login. The epoch changes together with the
	// password or the second factor. Such a change ends all sessions of the user, except the session in which the user
	// makes the change.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	CredentialsEpoch string `json:"credentialsEpoch,omitempty"`

	// passwordChangeRequired restricts the session to a change of the password.
	// +optional
	PasswordChangeRequired bool `json:"passwordChangeRequired,omitempty"`

	// rotationTime is the time of the last rotation of the refresh token.
	// +optional
	RotationTime *metav1.Time `json:"rotationTime,omitempty"`

	// spentTickets are the used tickets of streams. Each is kept until it expires, so that no replica accepts a ticket
	// twice.
	// +optional
	// +listType=map
	// +listMapKey=id
	// +kubebuilder:validation:MaxItems=64
	SpentTickets []SpentTicket `json:"spentTickets,omitempty"`
}

// MaxSpentTickets is the maximum number of used stream tickets that a session stores. At the maximum, the session
// cannot use another ticket until a stored ticket expires.
const MaxSpentTickets = 64

// SpentTicket is a ticket that was used and is no longer valid.
type SpentTicket struct {
	// id is the id of the ticket. It is not a credential.
	// +required
	// +kubebuilder:validation:MaxLength=32
	ID string `json:"id"`
	// expirationTime is the time at which the ticket expires.
	// +required
	ExpirationTime metav1.Time `json:"expirationTime"`
}

// SessionClient describes the client of a login.
type SessionClient struct {
	// address is the IP address of the client.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Address string `json:"address,omitempty"`
	// userAgent is the client's User-Agent.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	UserAgent string `json:"userAgent,omitempty"`
}

// KubeVisionSessionList is a list of sessions.
//
// +kubebuilder:object:root=true
type KubeVisionSessionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []KubeVisionSession `json:"items"`
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// KubeVisionSession is one login. Deleting it logs the user out of that
// client, on every replica.
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
	// metadata is the standard object metadata. Its name is the session id that
	// access tokens carry.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the login. It is written by KubeVision only.
	// +required
	Spec KubeVisionSessionSpec `json:"spec"`
}

// KubeVisionSessionSpec describes a login.
//
// +kubebuilder:validation:XValidation:rule="self.userName == oldSelf.userName && self.userUID == oldSelf.userUID",message="a session cannot change hands"
type KubeVisionSessionSpec struct {
	// userName is the name of the KubeVisionUser.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	UserName string `json:"userName"`

	// userUID is the UID of the KubeVisionUser. A user that was deleted and made
	// again under the same name has none of the old sessions.
	// +required
	UserUID types.UID `json:"userUID"`

	// client is where the login came from.
	// +optional
	Client SessionClient `json:"client,omitempty"`

	// authenticationMethods are how the user proved to be who they say (RFC
	// 8176): pwd for a password, otp for a one-time code.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=16
	AuthenticationMethods []string `json:"authenticationMethods,omitempty"`

	// expirationTime is when the session ends unless it is renewed.
	// +required
	ExpirationTime metav1.Time `json:"expirationTime"`

	// refreshTokenHash is the SHA-256 hash, in hexadecimal digits, of the
	// refresh token that is valid now.
	// +required
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	RefreshTokenHash string `json:"refreshTokenHash"`

	// previousRefreshTokenHashes are the hashes of the refresh tokens before,
	// the last one first. One of them that is used again, later than a moment
	// after the rotation, ends the session: somebody has a copy.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:Pattern=`^[0-9a-f]{64}$`
	PreviousRefreshTokenHashes []string `json:"previousRefreshTokenHashes,omitempty"`

	// rotationSalt is what the refresh token that is valid now was derived with
	// from the one before, so that two uses of that one at the same time give
	// the same. It is of no use without the token.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	RotationSalt string `json:"rotationSalt,omitempty"`

	// credentialsEpoch is the state of the user's credentials in which the login
	// was made. Once it is another, because the password or the second factor
	// has changed, the session ends.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	CredentialsEpoch string `json:"credentialsEpoch,omitempty"`

	// passwordChangeRequired lets the session do nothing but choose a new
	// password.
	// +optional
	PasswordChangeRequired bool `json:"passwordChangeRequired,omitempty"`

	// rotationTime is when the refresh token was last rotated.
	// +optional
	RotationTime *metav1.Time `json:"rotationTime,omitempty"`

	// spentTickets are the tickets for streams that were used, until they
	// expire, so that none is good twice on any replica.
	// +optional
	// +listType=map
	// +listMapKey=id
	// +kubebuilder:validation:MaxItems=64
	SpentTickets []SpentTicket `json:"spentTickets,omitempty"`
}

// MaxSpentTickets bounds the tickets of a session that are used within the life
// of one.
const MaxSpentTickets = 64

// SpentTicket is a ticket that is worth nothing any more.
type SpentTicket struct {
	// id is that of the ticket. It opens nothing.
	// +required
	// +kubebuilder:validation:MaxLength=32
	ID string `json:"id"`
	// expirationTime is when the ticket expires.
	// +required
	ExpirationTime metav1.Time `json:"expirationTime"`
}

// SessionClient is where a login came from.
type SessionClient struct {
	// address is the IP address of the client.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Address string `json:"address,omitempty"`
	// userAgent is what the client called itself.
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

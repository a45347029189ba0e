// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Values of ManagedUser.Status.
const (
	// UserActive is the status of a user who may log in.
	UserActive = "active"
	// UserLocked is the status of a user whose logins are locked for a time after too many failures.
	UserLocked = "locked"
	// UserDisabled is the status of a user who may not log in.
	UserDisabled = "disabled"
)

// ManagedUser is a user as those see them who manage users. The role is empty
// for those who may not list role bindings.
type ManagedUser struct {
	User `json:",inline"`
	// name is the user's name.
	Name string `json:"name"`
	// status is active, locked or disabled.
	Status string `json:"status"`
	// isActive is false for a user who is disabled.
	IsActive bool `json:"isActive"`
	// twoFactor is the policy of the second factor: Optional or Required.
	TwoFactor string `json:"twoFactor"`
	// mustChangePassword asks the user to choose another password at the next
	// login.
	MustChangePassword bool `json:"mustChangePassword"`
	// lastLogin is the time of the last complete login.
	// +optional
	LastLogin *metav1.Time `json:"lastLogin,omitempty"`
	// lockedUntil is when logins are accepted again.
	// +optional
	LockedUntil *metav1.Time `json:"lockedUntil,omitempty"`
	// createdAt is when the user was made.
	CreatedAt metav1.Time `json:"createdAt"`
	// resourceVersion is the version of the user.
	ResourceVersion string `json:"resourceVersion"`
	// conditions of the user.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// CreateUserRequest is the body of POST /users.
type CreateUserRequest struct {
	// username is what the user types to log in.
	Username string `json:"username"`
	// password of the user: 12 characters or more, and not easily guessed.
	Password string `json:"password"`
	// email is the user's mail address.
	// +optional
	Email string `json:"email,omitempty"`
	// displayName is the name to show. Defaults to the user name.
	// +optional
	DisplayName string `json:"displayName,omitempty"`
	// groups are the user's groups.
	// +optional
	// +listType=atomic
	Groups []string `json:"groups,omitempty"`
	// role that the user gets on every cluster: super-admin, admin, editor or
	// viewer; custom, the default, gives none.
	// +optional
	Role string `json:"role,omitempty"`
	// twoFactor is the policy of the second factor: Optional or Required.
	// +optional
	TwoFactor string `json:"twoFactor,omitempty"`
	// mustChangePassword asks the user to choose another password at the first
	// login. Defaults to true.
	// +optional
	MustChangePassword *bool `json:"mustChangePassword,omitempty"`
}

// UpdateUserRequest is the body of PUT /users/{user}. What is not given stays
// as it is.
type UpdateUserRequest struct {
	// email is the user's mail address.
	// +optional
	Email *string `json:"email,omitempty"`
	// displayName is the name to show.
	// +optional
	DisplayName *string `json:"displayName,omitempty"`
	// groups replace all groups of the user.
	// +optional
	// +listType=atomic
	Groups *[]string `json:"groups,omitempty"`
	// role that the user gets on every cluster, instead of the one that this
	// API has given before. Other role bindings are left alone.
	// +optional
	Role *string `json:"role,omitempty"`
	// isActive is false to end every session and refuse new ones.
	// +optional
	IsActive *bool `json:"isActive,omitempty"`
	// twoFactor is the policy of the second factor: Optional or Required.
	// +optional
	TwoFactor *string `json:"twoFactor,omitempty"`
	// mustChangePassword asks the user to choose another password at the next
	// login.
	// +optional
	MustChangePassword *bool `json:"mustChangePassword,omitempty"`
	// resourceVersion must be that of the user, where it is given.
	// +optional
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

// UserEnvelope is the answer to what is about one user.
type UserEnvelope struct {
	Header `json:",inline"`
	// data is the user.
	// +optional
	Data *ManagedUser `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// UserListEnvelope is the answer to GET /users.
type UserListEnvelope struct {
	Header `json:",inline"`
	// data are the users, by name.
	// +optional
	// +listType=atomic
	Data []ManagedUser `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

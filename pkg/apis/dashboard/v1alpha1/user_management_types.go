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

// ManagedUser is a user, as returned to callers who manage users. The role is empty for callers who may not list role
// bindings.
type ManagedUser struct {
	User `json:",inline"`
	// name is the user's name.
	Name string `json:"name"`
	// status is active, locked or disabled.
	Status string `json:"status"`
	// isActive is false for a disabled user.
	IsActive bool `json:"isActive"`
	// twoFactor is the policy of the second factor: Optional or Required.
	TwoFactor string `json:"twoFactor"`
	// mustChangePassword requires the user to choose another password at the next login.
	MustChangePassword bool `json:"mustChangePassword"`
	// lastLogin is the time of the last complete login.
	// +optional
	LastLogin *metav1.Time `json:"lastLogin,omitempty"`
	// lockedUntil is the time at which logins are accepted again.
	// +optional
	LockedUntil *metav1.Time `json:"lockedUntil,omitempty"`
	// createdAt is the creation time of the user.
	CreatedAt metav1.Time `json:"createdAt"`
	// resourceVersion is the resourceVersion of the KubeVisionUser.
	ResourceVersion string `json:"resourceVersion"`
	// conditions are the conditions of the user.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// CreateUserRequest is the body of POST /users.
type CreateUserRequest struct {
	// username is the name with which the user logs in.
	Username string `json:"username"`
	// password is the password of the user. It must have at least 12 characters and must not be easy to guess.
	Password string `json:"password"`
	// email is the user's email address.
	// +optional
	Email string `json:"email,omitempty"`
	// displayName is the name that dashboards show for the user. The default is the user name.
	// +optional
	DisplayName string `json:"displayName,omitempty"`
	// groups are the user's groups.
	// +optional
	// +listType=atomic
	Groups []string `json:"groups,omitempty"`
	// role is the role that is granted to the user on every cluster: super-admin, admin, editor, viewer or custom. The
	// default, custom, grants no role.
	// +optional
	Role string `json:"role,omitempty"`
	// twoFactor is the policy of the second factor: Optional or Required.
	// +optional
	TwoFactor string `json:"twoFactor,omitempty"`
	// mustChangePassword requires the user to choose another password at the first login. Defaults to true.
	// +optional
	MustChangePassword *bool `json:"mustChangePassword,omitempty"`
}

// UpdateUserRequest is the body of PUT /users/{user}. Missing fields keep their values.
type UpdateUserRequest struct {
	// email is the user's email address.
	// +optional
	Email *string `json:"email,omitempty"`
	// displayName is the new name that dashboards show for the user. An empty string restores the default, which is the
	// user name.
	// +optional
	DisplayName *string `json:"displayName,omitempty"`
	// groups replace all groups of the user.
	// +optional
	// +listType=atomic
	Groups *[]string `json:"groups,omitempty"`
	// role is the new role of the user for all clusters. It replaces the role that was granted through this API. Other
	// role bindings are not changed.
	// +optional
	Role *string `json:"role,omitempty"`
	// isActive enables or disables the user. The sessions of a disabled user end, and new logins are rejected.
	// +optional
	IsActive *bool `json:"isActive,omitempty"`
	// twoFactor is the policy of the second factor: Optional or Required.
	// +optional
	TwoFactor *string `json:"twoFactor,omitempty"`
	// mustChangePassword requires the user to choose another password at the next login.
	// +optional
	MustChangePassword *bool `json:"mustChangePassword,omitempty"`
	// resourceVersion is the expected resourceVersion of the KubeVisionUser. If it is set and differs, the request
	// fails.
	// +optional
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

// UserEnvelope is the response to requests for one user.
type UserEnvelope struct {
	Header `json:",inline"`
	// data is the user.
	// +optional
	Data *ManagedUser `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// UserListEnvelope is the response to GET /users.
type UserListEnvelope struct {
	Header `json:",inline"`
	// data contains the users, sorted by name.
	// +optional
	// +listType=atomic
	Data []ManagedUser `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

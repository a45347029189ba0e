// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// User is a user as displayed by the dashboard.
type User struct {
	// id is the name of the KubeVisionUser, or the Kubernetes user name of any other caller.
	ID string `json:"id"`
	// username is the name of the KubeVisionUser, or the Kubernetes user name of any other caller.
	Username string `json:"username"`
	// displayName is the name that dashboards show for the user. The default is the user name.
	DisplayName string `json:"displayName"`
	// email is the user's email address.
	Email string `json:"email"`
	// role is the role that the user's bindings grant on the host: super-admin, admin, editor, viewer or custom. Use it
	// only to show and hide buttons.
	Role string `json:"role"`
	// groups are the KubeVision groups of a KubeVisionUser, or the Kubernetes groups of any other caller.
	// +listType=atomic
	Groups []string `json:"groups"`
	// totpEnabled is true if the user has a second factor.
	TOTPEnabled bool `json:"totpEnabled"`
}

// CurrentUser is the caller.
type CurrentUser struct {
	User `json:",inline"`
	// recoveryCodesRemaining is the number of unused recovery codes.
	RecoveryCodesRemaining int32 `json:"recoveryCodesRemaining"`
	// bindings are the role bindings that name the caller or one of the caller's groups.
	// +listType=atomic
	Bindings []Binding `json:"bindings"`
}

// Binding is a role binding, as returned to its subjects.
type Binding struct {
	// name is the name of the KubeVisionRoleBinding.
	Name string `json:"name"`
	// role is the role that the binding grants.
	Role string `json:"role"`
	// clusters are the clusters on which the binding applies.
	// +listType=atomic
	Clusters []string `json:"clusters"`
	// namespaces are the namespaces in which the binding applies, sorted by name. It is empty if the binding applies in
	// the whole cluster or selects namespaces by label.
	// +listType=atomic
	Namespaces []string `json:"namespaces"`
	// namespaceSelector is the label selector of the namespaces in which the binding applies.
	// +optional
	NamespaceSelector string `json:"namespaceSelector,omitempty"`
}

// Session is one login of the caller.
type Session struct {
	// id is the id of the session.
	ID string `json:"id"`
	// createdAt is the time of the login.
	CreatedAt metav1.Time `json:"createdAt"`
	// expiresAt is the time at which the session ends if it is not refreshed before.
	ExpiresAt metav1.Time `json:"expiresAt"`
	// address is the client's address at the login.
	Address string `json:"address"`
	// userAgent is the client's User-Agent.
	UserAgent string `json:"userAgent"`
	// current is true for the session of this request.
	Current bool `json:"current"`
}

// SessionListEnvelope is the response to GET /users/me/sessions.
type SessionListEnvelope struct {
	Header `json:",inline"`
	// data contains the caller's sessions, the newest first.
	// +optional
	// +listType=atomic
	Data []Session `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// CurrentUserEnvelope is the response to GET /users/me.
type CurrentUserEnvelope struct {
	Header `json:",inline"`
	// data is the caller.
	// +optional
	Data *CurrentUser `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// User is a user as the dashboard shows them.
type User struct {
	// id is the user's name.
	ID string `json:"id"`
	// username is the user's name.
	Username string `json:"username"`
	// displayName is the name to show.
	DisplayName string `json:"displayName"`
	// email is the user's mail address.
	Email string `json:"email"`
	// role is what the user's bindings on the host amount to, for showing and
	// hiding buttons only: super-admin, admin, editor, viewer or custom.
	Role string `json:"role"`
	// groups are the user's groups: of KubeVision for a KubeVisionUser, of
	// Kubernetes for anybody else.
	// +listType=atomic
	Groups []string `json:"groups"`
	// totpEnabled says whether the user has a second factor.
	TOTPEnabled bool `json:"totpEnabled"`
}

// CurrentUser is the caller, as the caller sees themselves.
type CurrentUser struct {
	User `json:",inline"`
	// recoveryCodesRemaining is the number of unused recovery codes.
	RecoveryCodesRemaining int32 `json:"recoveryCodesRemaining"`
	// bindings are the role bindings that name the caller or a group of theirs.
	// +listType=atomic
	Bindings []Binding `json:"bindings"`
}

// Binding is a role binding, as somebody sees it who is bound by it.
type Binding struct {
	// name of the KubeVisionRoleBinding.
	Name string `json:"name"`
	// role that it grants.
	Role string `json:"role"`
	// clusters where it holds.
	// +listType=atomic
	Clusters []string `json:"clusters"`
	// namespaces where it holds, by name; empty where it holds in the whole
	// cluster or in namespaces chosen by label.
	// +listType=atomic
	Namespaces []string `json:"namespaces"`
	// namespaceSelector is the label selector of the namespaces where it holds.
	// +optional
	NamespaceSelector string `json:"namespaceSelector,omitempty"`
}

// Session is one login of the caller.
type Session struct {
	// id of the session.
	ID string `json:"id"`
	// createdAt is the time of the login.
	CreatedAt metav1.Time `json:"createdAt"`
	// expiresAt is when the session ends unless it is renewed.
	ExpiresAt metav1.Time `json:"expiresAt"`
	// address is where the login came from.
	Address string `json:"address"`
	// userAgent is what the client called itself.
	UserAgent string `json:"userAgent"`
	// current is true for the session that this very request belongs to.
	Current bool `json:"current"`
}

// SessionListEnvelope is the answer to GET /users/me/sessions.
type SessionListEnvelope struct {
	Header `json:",inline"`
	// data are the caller's sessions, the newest first.
	// +optional
	// +listType=atomic
	Data []Session `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// CurrentUserEnvelope is the answer to GET /users/me.
type CurrentUserEnvelope struct {
	Header `json:",inline"`
	// data is the caller.
	// +optional
	Data *CurrentUser `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

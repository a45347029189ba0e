// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ManagedSession is a session of any user, as returned to callers who manage sessions.
type ManagedSession struct {
	Session `json:",inline"`
	// user is the name of the user who has logged in.
	User string `json:"user"`
	// authenticationMethods are the methods of authentication: pwd for a password, otp for a one-time code.
	// +listType=atomic
	AuthenticationMethods []string `json:"authenticationMethods"`
}

// ManagedSessionEnvelope is the response to GET /sessions/{session}.
type ManagedSessionEnvelope struct {
	Header `json:",inline"`
	// data is the session.
	// +optional
	Data *ManagedSession `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// ManagedSessionListEnvelope is the response to GET /sessions.
type ManagedSessionListEnvelope struct {
	Header `json:",inline"`
	// data contains the sessions, the newest first.
	// +optional
	// +listType=atomic
	Data []ManagedSession `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

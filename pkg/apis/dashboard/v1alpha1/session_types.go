// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ManagedSession is a login of anybody's, as those see it who manage sessions.
type ManagedSession struct {
	Session `json:",inline"`
	// user is the name of the user who has logged in.
	User string `json:"user"`
	// authenticationMethods are how the user proved to be who they say: pwd for
	// a password, otp for a one-time code.
	// +listType=atomic
	AuthenticationMethods []string `json:"authenticationMethods"`
}

// ManagedSessionEnvelope is the answer to GET /sessions/{session}.
type ManagedSessionEnvelope struct {
	Header `json:",inline"`
	// data is the session.
	// +optional
	Data *ManagedSession `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// ManagedSessionListEnvelope is the answer to GET /sessions.
type ManagedSessionListEnvelope struct {
	Header `json:",inline"`
	// data are the sessions, the newest first.
	// +optional
	// +listType=atomic
	Data []ManagedSession `json:"data"`
	// meta is what there is to say beside the data.
	Meta Meta `json:"meta"`
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// TerminalSession is a recorded terminal.
type TerminalSession struct {
	// id is the name of the recording.
	ID string `json:"id"`
	// createdAt is the time at which the recording started.
	CreatedAt metav1.Time `json:"createdAt"`
	// userId is the user name of the caller who opened the terminal.
	UserID string `json:"userId"`
	// cluster is the name of the cluster.
	Cluster string `json:"cluster"`
	// namespace is the namespace of the Pod.
	Namespace string `json:"namespace"`
	// pod is the name of the Pod.
	Pod string `json:"pod"`
	// container is the name of the container, if the request named one.
	// +optional
	Container string `json:"container,omitempty"`
	// verb is the kind of the recorded operation: exec, attach, nodeshell or copy.
	Verb string `json:"verb"`
	// command is the program that ran in the container, with its arguments. For a shell on a node, it is "node" and the
	// name of the node. For a file copy, it is "from" or "to", and the path in the container. It is absent if the verb
	// is attach.
	// +optional
	// +listType=atomic
	Command []string `json:"command,omitempty"`
	// part is the number of this recording among the recordings of the terminal, from 1.
	Part int32 `json:"part"`
	// durationMs is the time from the start of the recording to its last write, in milliseconds.
	DurationMS int64 `json:"durationMs"`
	// bytes is the size of the recording in bytes.
	Bytes int64 `json:"bytes"`
	// encrypted is true if the recording is encrypted with a key of KubeVision. Everyone with write access to the
	// folder or bucket of the recordings can change or forge recordings that are not encrypted.
	Encrypted bool `json:"encrypted"`
	// expiresAt is the time at which the recording is deleted.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
}

// TerminalRecording is the content of a recorded terminal.
type TerminalRecording struct {
	// id is the name of the recording.
	ID string `json:"id"`
	// recording is a file in the format of asciinema, version 2: a line with a header, and a line for each event.
	Recording string `json:"recording"`
	// durationMs is the time from the start of the recording to its last write, in milliseconds.
	DurationMS int64 `json:"durationMs"`
}

// TerminalSessionListEnvelope is the response to GET /terminal-sessions.
type TerminalSessionListEnvelope struct {
	Header `json:",inline"`
	// data contains the recordings, the newest first.
	// +optional
	// +listType=atomic
	Data []TerminalSession `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

// TerminalRecordingEnvelope is the response to GET /terminal-sessions/{session}/play.
type TerminalRecordingEnvelope struct {
	Header `json:",inline"`
	// data is the recording.
	// +optional
	Data *TerminalRecording `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

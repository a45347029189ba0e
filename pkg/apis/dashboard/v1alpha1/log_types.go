// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// LogFrame is a message on the WebSocket of a followed log.
type LogFrame struct {
	// type is log for a line, error for a failure, or close at the end. After close, the client should not reconnect.
	Type string `json:"type"`
	// data depends on the type. For the type log, it is a line without its line feed. For the types error and close, it
	// is a text for the user: the error, or the reason for the end of the log.
	Data string `json:"data"`
	// pod is the name of the Pod. It is set if the logs of several Pods are merged.
	// +optional
	Pod string `json:"pod,omitempty"`
	// container is the name of the container. It is set if the logs of several Pods are merged.
	// +optional
	Container string `json:"container,omitempty"`
	// cut is true if the line was truncated.
	// +optional
	Cut bool `json:"cut,omitempty"`
}

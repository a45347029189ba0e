// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// LogFrame is a message of the socket of a log.
type LogFrame struct {
	// type is log for a line, error for what went wrong, and close at the end,
	// after which the client need not connect again.
	Type string `json:"type"`
	// data is the line without its end, or a message.
	Data string `json:"data"`
	// pod is the name of the line's pod, where lines of several are sent.
	// +optional
	Pod string `json:"pod,omitempty"`
	// container is the name of the line's container, where lines of several pods
	// are sent.
	// +optional
	Container string `json:"container,omitempty"`
	// cut is true if the line was longer than is sent.
	// +optional
	Cut bool `json:"cut,omitempty"`
}

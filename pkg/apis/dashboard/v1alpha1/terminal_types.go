// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// TerminalFrame is a message of the socket of a terminal, in either direction.
type TerminalFrame struct {
	// type is input, resize or ping from the client, and output, info, error or
	// close from the server. After close, the client need not connect again.
	Type string `json:"type"`
	// data is the input, the output or a message.
	// +optional
	Data string `json:"data,omitempty"`
	// cols is the new width of the terminal, from 0 to 65535.
	// +optional
	Cols int32 `json:"cols,omitempty"`
	// rows is the new height of the terminal, from 0 to 65535.
	// +optional
	Rows int32 `json:"rows,omitempty"`
	// exitCode is that of the command, in a frame of the type close.
	// +optional
	ExitCode *int32 `json:"exitCode,omitempty"`
	// reason is why the terminal has ended, in a frame of the type close.
	// +optional
	Reason string `json:"reason,omitempty"`
	// idleSeconds is the time after which a terminal ends in which nothing was
	// typed or shown, in the frame of the type info.
	// +optional
	IdleSeconds int64 `json:"idleSeconds,omitempty"`
	// maxSeconds is the time after which the terminal ends, in the frame of the
	// type info.
	// +optional
	MaxSeconds int64 `json:"maxSeconds,omitempty"`
}

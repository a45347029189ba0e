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

// CopyFrame is a text message of a copy of files. The content is in binary
// messages.
type CopyFrame struct {
	// type is end from the client, after the last message of a copy into a
	// container, and info, progress, error or close from the server.
	Type string `json:"type"`
	// data is a message.
	// +optional
	Data string `json:"data,omitempty"`
	// reason is why the copy has ended, in a frame of the type close. The copy is
	// complete if it is done.
	// +optional
	Reason string `json:"reason,omitempty"`
	// bytes and files are the numbers of those that were copied so far.
	// +optional
	Bytes int64 `json:"bytes,omitempty"`
	// files is the number of files that have begun.
	// +optional
	Files int64 `json:"files,omitempty"`
	// skipped is the number of links, devices and sockets that were left out.
	// +optional
	Skipped int64 `json:"skipped,omitempty"`
	// size is the size of the file, if it is one.
	// +optional
	Size int64 `json:"size,omitempty"`
	// maxBytes is the limit of a copy, in the frame of the type info.
	// +optional
	MaxBytes int64 `json:"maxBytes,omitempty"`
	// maxSeconds is the longest time of a copy, in the frame of the type info.
	// +optional
	MaxSeconds int64 `json:"maxSeconds,omitempty"`
}

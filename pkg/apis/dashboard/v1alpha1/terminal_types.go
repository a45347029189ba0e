// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// TerminalFrame is a message of the socket of a terminal, in either direction.
type TerminalFrame struct {
	// type is input, resize or ping for a message from the client, and output, info, error or close for a message from
	// the server. After close, the client should not reconnect.
	Type string `json:"type"`
	// data is the input in a frame of type input, and the output in a frame of type output. In a frame of type info,
	// error or close, it is a text for the user.
	// +optional
	Data string `json:"data,omitempty"`
	// cols is the new width of the terminal, from 0 to 65535.
	// +optional
	Cols int32 `json:"cols,omitempty"`
	// rows is the new height of the terminal, from 0 to 65535.
	// +optional
	Rows int32 `json:"rows,omitempty"`
	// exitCode is the exit code of the command. It is set in a frame of type close.
	// +optional
	ExitCode *int32 `json:"exitCode,omitempty"`
	// reason is the reason for the end of the terminal. It is set in a frame of type close.
	// +optional
	Reason string `json:"reason,omitempty"`
	// idleSeconds is the time without input and output after which the terminal ends. It is set in a frame of type
	// info.
	// +optional
	IdleSeconds int64 `json:"idleSeconds,omitempty"`
	// maxSeconds is the maximum duration of the terminal. It is set in a frame of type info.
	// +optional
	MaxSeconds int64 `json:"maxSeconds,omitempty"`
}

// CopyFrame is a text message of a file copy. Binary messages carry the content.
type CopyFrame struct {
	// type is the kind of the message. The server sends messages of the types "info", "progress", "error" and "close".
	// The client sends a message of the type "end" after the last content of a copy into a container.
	Type string `json:"type"`
	// data is a text for the user: the error, or the reason for the end of the copy. It is set in a frame of type error
	// or close.
	// +optional
	Data string `json:"data,omitempty"`
	// reason is the reason for the end of the copy. The reason "done" means that the copy is complete. The field
	// is set in a frame of type close.
	// +optional
	Reason string `json:"reason,omitempty"`
	// bytes is the number of bytes that have been copied.
	// +optional
	Bytes int64 `json:"bytes,omitempty"`
	// files is the number of files whose copy has begun.
	// +optional
	Files int64 `json:"files,omitempty"`
	// skipped is the number of omitted links, devices and sockets.
	// +optional
	Skipped int64 `json:"skipped,omitempty"`
	// size is the size of the file in bytes, if a single file is copied.
	// +optional
	Size int64 `json:"size,omitempty"`
	// maxBytes is the maximum size of a copy in bytes. It is set in a frame of type info.
	// +optional
	MaxBytes int64 `json:"maxBytes,omitempty"`
	// maxSeconds is the maximum duration of a copy. It is set in a frame of type info.
	// +optional
	MaxSeconds int64 `json:"maxSeconds,omitempty"`
}

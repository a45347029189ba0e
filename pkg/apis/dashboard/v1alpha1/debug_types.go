// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// DebugRequest is the body of POST .../pods/{name}/debug.
type DebugRequest struct {
	// image is the image of the container. The default is that of the server.
	// +optional
	Image string `json:"image,omitempty"`
	// command is the command of the container. The default is that of the image.
	// +optional
	// +listType=atomic
	Command []string `json:"command,omitempty"`
	// target is the name of a container whose processes the new one shows.
	// +optional
	Target string `json:"target,omitempty"`
}

// DebugContainer is an ephemeral container of a Pod.
type DebugContainer struct {
	// container is the name of the container. Attach to it.
	Container string `json:"container"`
	// state is running, waiting or terminated.
	State string `json:"state"`
	// message is why the container waits, or how it has ended.
	// +optional
	Message string `json:"message,omitempty"`
}

// DebugEnvelope is the response to POST .../pods/{name}/debug.
type DebugEnvelope struct {
	Header `json:",inline"`
	// data is the container.
	// +optional
	Data *DebugContainer `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

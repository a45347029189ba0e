// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// DebugRequest is the body of POST .../pods/{name}/debug.
type DebugRequest struct {
	// image is the image of the container. Defaults to the debug image of the server.
	// +optional
	Image string `json:"image,omitempty"`
	// command is the command of the container. Defaults to the command of the image.
	// +optional
	// +listType=atomic
	Command []string `json:"command,omitempty"`
	// target is the name of a container whose processes are visible in the new container.
	// +optional
	Target string `json:"target,omitempty"`
}

// DebugContainer is an ephemeral container of a Pod.
type DebugContainer struct {
	// container is the name of the container. Use it to attach to the container.
	Container string `json:"container"`
	// state is running, waiting or terminated.
	State string `json:"state"`
	// message describes why the container is waiting, or how it has terminated.
	// +optional
	Message string `json:"message,omitempty"`
}

// DebugEnvelope is the response to POST .../pods/{name}/debug.
type DebugEnvelope struct {
	Header `json:",inline"`
	// data is the ephemeral container that was added to the Pod.
	// +optional
	Data *DebugContainer `json:"data"`
	// meta contains information about the response.
	Meta Meta `json:"meta"`
}

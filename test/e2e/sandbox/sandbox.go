// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sandbox runs a program in separate Linux namespaces. When the program ends or is killed, the kernel stops all
// other processes in the namespaces, and removes the mounts, the network and the files of the sandbox.
package sandbox

const (
	// Dir is a directory in a tmpfs. The files in this directory disappear when the sandbox ends.
	Dir = "/run/e2e"
	// Address is the IP address of the network interface in the sandbox.
	Address = "172.30.5.1"
	// Hostname is the hostname that processes in the sandbox see.
	Hostname = "node1"

	gateway = "172.30.5.254"
	marker  = "KUBEVISION_E2E_SANDBOX"
)

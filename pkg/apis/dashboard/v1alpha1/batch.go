// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// BatchDelete is the body of POST .../batch-delete.
// +k8s:openapi-gen=false
type BatchDelete []BatchDeleteItem

// BatchRestart is the body of POST .../batch-restart.
// +k8s:openapi-gen=false
type BatchRestart []BatchRestartItem

// OpenAPIModelName is under what name the body is described. The generator
// makes descriptions of structs only.
func (BatchDelete) OpenAPIModelName() string {
	return "io.kubevision.dashboard.v1alpha1.BatchDelete"
}

// OpenAPIModelName is under what name the body is described.
func (BatchRestart) OpenAPIModelName() string {
	return "io.kubevision.dashboard.v1alpha1.BatchRestart"
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// BatchDelete is the body of POST .../batch-delete.
// +k8s:openapi-gen=false
type BatchDelete []BatchDeleteItem

// BatchRestart is the body of POST .../batch-restart.
// +k8s:openapi-gen=false
type BatchRestart []BatchRestartItem

// OpenAPIModelName returns the name of the request body BatchDelete in the OpenAPI document.
func (BatchDelete) OpenAPIModelName() string {
	return "io.kubevision.dashboard.v1alpha1.BatchDelete"
}

// OpenAPIModelName returns the name of the request body BatchRestart in the OpenAPI document.
func (BatchRestart) OpenAPIModelName() string {
	return "io.kubevision.dashboard.v1alpha1.BatchRestart"
}

// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 contains the types of the dashboard's API: the response envelope, its codes, and the data of
// requests and responses.
//
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.kubevision.dashboard.v1alpha1
// +groupName=dashboard.kubevision.io
package v1alpha1
